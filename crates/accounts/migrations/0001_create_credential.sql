CREATE TABLE credential (
  id {id},
  principal_id {bigint} NOT NULL REFERENCES principal (id),
  kind {bigint} NOT NULL,
  secret {blob} NOT NULL,
  state {bigint} NOT NULL,
  label {name},
  created_at {bigint} NOT NULL,
  expires_at {bigint}
) {table}
