-- replaces 8112263415999221463
-- folds 9 18 19 20 21
-- The place of a blob stands in its own row.
CREATE TABLE "blob" (
  digest {digest} NOT NULL PRIMARY KEY,
  size {bigint} NOT NULL,
  created_at {bigint} NOT NULL,
  location {name},
  place_key {name}
) {keyed}
