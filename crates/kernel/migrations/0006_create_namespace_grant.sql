CREATE TABLE namespace_grant (
  namespace_id {bigint} NOT NULL,
  principal_id {bigint} NOT NULL,
  role {bigint} NOT NULL,
  created_at {bigint} NOT NULL,
  PRIMARY KEY (namespace_id, principal_id),
  FOREIGN KEY (namespace_id) REFERENCES namespace (id),
  FOREIGN KEY (principal_id) REFERENCES principal (id)
) {table}
