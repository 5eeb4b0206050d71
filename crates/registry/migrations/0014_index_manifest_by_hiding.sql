CREATE INDEX manifest_by_hiding ON manifest (hidden_at) {given hidden_at}
