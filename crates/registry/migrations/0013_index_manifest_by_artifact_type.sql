CREATE INDEX manifest_by_artifact_type ON manifest (repository_id, subject, artifact_type, digest) {given subject}
