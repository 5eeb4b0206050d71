-- Rows of the test feature, for the test that measures every statement at two sizes of each table.
INSERT INTO notes_note (repository_id, namespace_id, digest, words) SELECT 1, 1, digest, name {rows};
INSERT INTO notes_note (repository_id, namespace_id, digest, words) SELECT i, 1, digest, name {rows} AND i > 1;
INSERT INTO notes_board (namespace_id, title) SELECT i, name {rows};
