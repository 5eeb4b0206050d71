CREATE INDEX job_by_time ON job (state, run_at)
