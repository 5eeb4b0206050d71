CREATE TABLE tag_history (
  id {id},
  repository_id {bigint} NOT NULL,
  name {name} NOT NULL,
  digest {digest} NOT NULL,
  from_at {bigint} NOT NULL,
  until_at {bigint},
  cause {bigint} NOT NULL,
  actor_id {bigint},
  actor {name} NOT NULL,
  FOREIGN KEY (repository_id) REFERENCES repository (id)
) {table}
