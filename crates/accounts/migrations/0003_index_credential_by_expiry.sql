CREATE INDEX credential_by_expiry ON credential (expires_at)
