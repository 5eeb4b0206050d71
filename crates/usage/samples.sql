-- Rows of this feature, for the test that measures every statement at two sizes of each table.
INSERT INTO usage_activity (at, event_id, kind, namespace_id, namespace_name, repository_id,
  repository_name, actor_id, actor_name, actor_kind, credential_id, address, agent, request_id, detail)
  SELECT {now} - i, i, 1, 1, name, 1, name, 1, name, name, 1, name, 'a', name, '-' {rows};
INSERT INTO usage_pull_count (day, repository_id, namespace_id, pulls) SELECT 20000, i, 1, 1 {rows};
