-- replaces 7196539002447750650
UPDATE "blob" SET place_key =
  (SELECT p.place_key FROM blob_place p WHERE p.digest = "blob".digest AND p.location = "blob".location)
WHERE place_key IS NULL
