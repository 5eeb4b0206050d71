-- 1 where the tag must neither move nor go; nothing for all others.
ALTER TABLE tag ADD COLUMN immutable {bigint}
