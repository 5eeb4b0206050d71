CREATE TABLE repository_grant (
  repository_id {bigint} NOT NULL REFERENCES repository (id),
  principal_id {bigint} NOT NULL REFERENCES principal (id),
  role {bigint} NOT NULL,
  created_at {bigint} NOT NULL,
  PRIMARY KEY (repository_id, principal_id)
) {table}
