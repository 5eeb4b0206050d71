-- What a namespace keeps, each blob once.
CREATE INDEX {online} blob_ref_by_namespace ON blob_ref (namespace_id, digest)
