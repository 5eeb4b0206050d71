CREATE INDEX {online} manifest_by_type_and_state ON manifest (repository_id, subject, state, artifact_type, digest)
  {given subject}
