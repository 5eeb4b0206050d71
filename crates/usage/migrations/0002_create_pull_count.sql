CREATE TABLE usage_pull_count (
  day {bigint} NOT NULL,
  repository_id {bigint} NOT NULL,
  namespace_id {bigint} NOT NULL,
  pulls {bigint} NOT NULL,
  PRIMARY KEY (day, repository_id)
) {table}
