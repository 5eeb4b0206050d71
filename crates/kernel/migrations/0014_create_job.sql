CREATE TABLE job (
  id {id},
  kind {name} NOT NULL,
  dedup {name} UNIQUE,
  payload {text} NOT NULL,
  state {bigint} NOT NULL,
  run_at {bigint} NOT NULL,
  attempts {bigint} NOT NULL,
  fence {bigint} NOT NULL,
  lease_until {bigint} NOT NULL,
  last_error {text},
  created_at {bigint} NOT NULL
) {table}
