-- What replicas must drop from their caches. Ids are taken before commit; see the reader in `log`.
CREATE TABLE "change" (
    id {id},
    nonce {bigint} NOT NULL,
    kind {int} NOT NULL,
    at {bigint} NOT NULL,
    a {bigint} NOT NULL DEFAULT 0,
    b {bigint} NOT NULL DEFAULT 0,
    name {name}
) {table}
