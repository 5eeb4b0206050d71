CREATE TABLE repository_grant (
  repository_id {bigint} NOT NULL,
  principal_id {bigint} NOT NULL,
  role {bigint} NOT NULL,
  created_at {bigint} NOT NULL,
  PRIMARY KEY (repository_id, principal_id),
  FOREIGN KEY (repository_id) REFERENCES repository (id),
  FOREIGN KEY (principal_id) REFERENCES principal (id)
) {table}
