CREATE TABLE tag (
  repository_id {bigint} NOT NULL,
  name {name} NOT NULL,
  digest {digest} NOT NULL,
  history_id {bigint} NOT NULL,
  expires_at {bigint},
  updated_at {bigint} NOT NULL,
  PRIMARY KEY (repository_id, name),
  FOREIGN KEY (repository_id, digest) REFERENCES manifest (repository_id, digest)
) {keyed}
