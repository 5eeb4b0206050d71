-- Its state says it.
ALTER TABLE upload DROP COLUMN algorithm
