ALTER TABLE manifest ADD COLUMN config_media_type {name}
