CREATE TABLE upload (
  uuid {name} NOT NULL PRIMARY KEY,
  repository_id {bigint} NOT NULL,
  principal_id {bigint},
  generation {bigint} NOT NULL,
  upload_offset {bigint} NOT NULL,
  state {blob} NOT NULL,
  algorithm {bigint},
  created_at {bigint} NOT NULL,
  active_at {bigint} NOT NULL,
  FOREIGN KEY (repository_id) REFERENCES repository (id)
) {table}
