-- The place of a blob stands in its own row.
DROP TABLE blob_place
