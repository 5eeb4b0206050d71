-- replaces 1464957839062885480
UPDATE "blob" SET location =
  (SELECT MIN(p.location) FROM blob_place p WHERE p.digest = "blob".digest)
WHERE location IS NULL
