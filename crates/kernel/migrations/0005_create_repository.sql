CREATE TABLE repository (
  id {id},
  namespace_id {bigint} NOT NULL,
  name {name},
  kind {bigint} NOT NULL,
  visibility {bigint} NOT NULL,
  state {bigint} NOT NULL,
  generation {bigint} NOT NULL,
  created_at {bigint} NOT NULL,
  UNIQUE (namespace_id, name),
  FOREIGN KEY (namespace_id) REFERENCES namespace (id)
) {table}
