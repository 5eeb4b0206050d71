CREATE TABLE installation (
  id {bigint} NOT NULL PRIMARY KEY,
  uuid {name} NOT NULL,
  secret_check {blob} NOT NULL,
  created_at {bigint} NOT NULL
) {table}
