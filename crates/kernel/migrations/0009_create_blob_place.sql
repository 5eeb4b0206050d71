CREATE TABLE blob_place (
  digest {digest} NOT NULL REFERENCES blob (digest),
  location {name} NOT NULL,
  place_key {name} NOT NULL,
  state {bigint} NOT NULL,
  PRIMARY KEY (digest, location)
) {table}
