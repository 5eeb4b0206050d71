CREATE TABLE namespace (
  id {id},
  name {name} UNIQUE,
  kind {bigint} NOT NULL,
  owner_id {bigint} REFERENCES principal (id),
  state {bigint} NOT NULL,
  generation {bigint} NOT NULL,
  created_at {bigint} NOT NULL
) {table}
