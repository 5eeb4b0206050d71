CREATE TABLE manifest_untagging (
  repository_id {bigint} NOT NULL,
  digest {digest} NOT NULL,
  actor_id {bigint},
  actor {name} NOT NULL,
  PRIMARY KEY (repository_id, digest)
) {keyed}
