UPDATE "blob" SET location =
  (SELECT MIN(p.location) FROM blob_place p WHERE p.digest = "blob".digest)
