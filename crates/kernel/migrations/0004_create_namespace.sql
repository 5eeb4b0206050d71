CREATE TABLE namespace (
  id {id},
  name {name} UNIQUE,
  kind {bigint} NOT NULL,
  owner_id {bigint},
  state {bigint} NOT NULL,
  generation {bigint} NOT NULL,
  created_at {bigint} NOT NULL,
  FOREIGN KEY (owner_id) REFERENCES principal (id)
) {table}
