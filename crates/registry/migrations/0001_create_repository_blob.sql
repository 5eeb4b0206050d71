CREATE TABLE repository_blob (
  repository_id {bigint} NOT NULL,
  digest {digest} NOT NULL,
  size {bigint} NOT NULL,
  created_at {bigint} NOT NULL,
  PRIMARY KEY (repository_id, digest),
  FOREIGN KEY (repository_id) REFERENCES repository (id),
  FOREIGN KEY (digest) REFERENCES "blob" (digest)
) {keyed}
