CREATE TABLE usage_activity (
  at {bigint} NOT NULL,
  event_id {bigint} NOT NULL,
  kind {bigint} NOT NULL,
  namespace_id {bigint},
  namespace_name {name},
  repository_id {bigint},
  repository_name {name},
  actor_id {bigint},
  actor_name {name},
  actor_kind {name},
  credential_id {bigint},
  address {name},
  agent {text},
  request_id {name},
  detail {text} NOT NULL,
  PRIMARY KEY (at, event_id)
) {table}
