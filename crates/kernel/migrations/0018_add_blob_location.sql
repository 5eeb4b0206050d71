ALTER TABLE "blob" ADD COLUMN location {name}
