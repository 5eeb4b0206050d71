CREATE INDEX repository_grant_by_principal ON repository_grant (principal_id)
