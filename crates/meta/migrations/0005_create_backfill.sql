CREATE TABLE backfill (
  name {name} NOT NULL PRIMARY KEY,
  position {bytes},
  done_at {bigint}
) {table}
