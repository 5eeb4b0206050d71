CREATE INDEX manifest_edge_by_digest ON manifest_edge (repository_id, digest)
