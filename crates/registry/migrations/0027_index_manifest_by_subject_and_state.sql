-- What was deleted stays for some time, and a page of referrers must not read it.
CREATE INDEX {online} manifest_by_subject_and_state ON manifest (repository_id, subject, state, digest) {given subject}
