CREATE TABLE namespace_grant (
  namespace_id {bigint} NOT NULL REFERENCES namespace (id),
  principal_id {bigint} NOT NULL REFERENCES principal (id),
  role {bigint} NOT NULL,
  created_at {bigint} NOT NULL,
  PRIMARY KEY (namespace_id, principal_id)
) {table}
