CREATE TABLE blob_place (
  digest {digest} NOT NULL,
  location {name} NOT NULL,
  place_key {name} NOT NULL,
  state {bigint} NOT NULL,
  PRIMARY KEY (digest, location),
  FOREIGN KEY (digest) REFERENCES "blob" (digest)
) {keyed}
