CREATE INDEX blob_ref_by_owner ON blob_ref (repository_id, owner_kind, owner)
