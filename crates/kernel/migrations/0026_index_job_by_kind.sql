CREATE INDEX {online} job_by_kind ON job (kind, state, run_at)
