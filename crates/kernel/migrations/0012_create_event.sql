CREATE TABLE event (
  id {id},
  nonce {bigint} NOT NULL,
  kind {bigint} NOT NULL,
  at {bigint} NOT NULL,
  payload {text}
) {table}
