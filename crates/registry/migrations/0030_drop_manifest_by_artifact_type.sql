DROP INDEX manifest_by_artifact_type {of manifest}
