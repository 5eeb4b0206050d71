CREATE TABLE manifest_edge (
  repository_id {bigint} NOT NULL,
  manifest {digest} NOT NULL,
  kind {bigint} NOT NULL,
  digest {digest} NOT NULL,
  PRIMARY KEY (repository_id, manifest, kind, digest),
  FOREIGN KEY (repository_id, manifest) REFERENCES manifest (repository_id, digest)
) {keyed}
