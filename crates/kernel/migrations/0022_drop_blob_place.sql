DROP TABLE blob_place
