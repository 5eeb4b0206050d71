CREATE INDEX upload_by_activity ON upload (active_at)
