CREATE TABLE notes_note (
  repository_id {bigint} NOT NULL,
  namespace_id {bigint} NOT NULL,
  digest {digest} NOT NULL,
  words {text} NOT NULL,
  PRIMARY KEY (repository_id, digest),
  FOREIGN KEY (repository_id) REFERENCES repository (id)
) {table}
