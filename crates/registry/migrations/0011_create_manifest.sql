CREATE TABLE manifest (
  repository_id {bigint} NOT NULL,
  digest {digest} NOT NULL,
  media_type {name} NOT NULL,
  size {bigint} NOT NULL,
  artifact_type {name},
  subject {digest},
  referrer {text},
  referrer_size {bigint} NOT NULL,
  body {blob} NOT NULL,
  state {bigint} NOT NULL,
  hidden_at {bigint},
  created_at {bigint} NOT NULL,
  PRIMARY KEY (repository_id, digest),
  FOREIGN KEY (repository_id) REFERENCES repository (id)
) {table}
