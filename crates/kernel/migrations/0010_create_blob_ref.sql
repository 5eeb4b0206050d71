CREATE TABLE blob_ref (
  digest {digest} NOT NULL,
  repository_id {bigint} NOT NULL,
  owner_kind {bigint} NOT NULL,
  owner {bytes} NOT NULL,
  namespace_id {bigint} NOT NULL,
  until {bigint},
  PRIMARY KEY (digest, repository_id, owner_kind, owner),
  FOREIGN KEY (digest) REFERENCES "blob" (digest)
) {keyed}
