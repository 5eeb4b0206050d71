CREATE INDEX upload_by_principal ON upload (principal_id, active_at)
