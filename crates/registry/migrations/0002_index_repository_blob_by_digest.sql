CREATE INDEX repository_blob_by_digest ON repository_blob (digest, repository_id)
