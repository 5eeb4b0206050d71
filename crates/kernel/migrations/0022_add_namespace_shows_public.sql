ALTER TABLE namespace ADD COLUMN shows_public {bigint} NOT NULL DEFAULT 1
