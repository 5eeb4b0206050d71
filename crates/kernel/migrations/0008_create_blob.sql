CREATE TABLE "blob" (
  digest {digest} NOT NULL PRIMARY KEY,
  size {bigint} NOT NULL,
  created_at {bigint} NOT NULL
) {keyed}
