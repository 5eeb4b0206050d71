-- Where each log begins: rows up to this id were pruned.
CREATE TABLE log_floor (
    name {name} NOT NULL PRIMARY KEY,
    floor {bigint} NOT NULL
) {table}
