CREATE INDEX namespace_grant_by_principal ON namespace_grant (principal_id)
