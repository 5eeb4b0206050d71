CREATE TABLE notes_board (
  namespace_id {bigint} NOT NULL,
  title {text} NOT NULL,
  PRIMARY KEY (namespace_id),
  FOREIGN KEY (namespace_id) REFERENCES namespace (id)
) {table}
