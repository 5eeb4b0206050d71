CREATE TABLE event_cursor (
  consumer {name} NOT NULL PRIMARY KEY,
  position {bigint} NOT NULL,
  fence {bigint} NOT NULL,
  lease_until {bigint} NOT NULL
) {table}
