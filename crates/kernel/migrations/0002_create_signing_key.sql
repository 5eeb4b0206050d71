CREATE TABLE signing_key (
  id {id},
  purpose {name} NOT NULL,
  sealed {blob} NOT NULL,
  public_key {blob} NOT NULL,
  created_at {bigint} NOT NULL,
  signs_from {bigint} NOT NULL,
  accepted_until {bigint}
) {table}
