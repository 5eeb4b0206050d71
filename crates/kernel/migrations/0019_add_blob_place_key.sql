ALTER TABLE "blob" ADD COLUMN place_key {name}
