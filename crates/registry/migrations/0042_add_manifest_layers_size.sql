-- What its layers say that they are long, summed up; unknown for what was pushed before.
ALTER TABLE manifest ADD COLUMN layers_size {bigint}
