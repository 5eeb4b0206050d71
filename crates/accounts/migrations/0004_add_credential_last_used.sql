ALTER TABLE credential ADD COLUMN last_used_at {bigint}
