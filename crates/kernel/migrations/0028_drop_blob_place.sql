-- replaces 2390572956269061934
-- Where the schema is from before places stood in the row of their blob.
DROP TABLE IF EXISTS blob_place
