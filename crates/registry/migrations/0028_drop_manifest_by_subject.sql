DROP INDEX manifest_by_subject {of manifest}
