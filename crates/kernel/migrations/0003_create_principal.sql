CREATE TABLE principal (
  id {id},
  kind {bigint} NOT NULL,
  name {name} UNIQUE,
  superuser {bigint} NOT NULL,
  state {bigint} NOT NULL,
  generation {bigint} NOT NULL,
  created_at {bigint} NOT NULL
) {table}
