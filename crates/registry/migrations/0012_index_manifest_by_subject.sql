CREATE INDEX manifest_by_subject ON manifest (repository_id, subject, digest) {given subject}
