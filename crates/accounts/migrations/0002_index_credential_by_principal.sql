CREATE INDEX credential_by_principal ON credential (principal_id, kind)
