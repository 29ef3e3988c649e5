-- Kafka has confirmed them; the rows are locked.
--   $1 bigint[]  ids
UPDATE dead_letters SET replayed_at = clock_timestamp() WHERE id = ANY ($1::bigint[])
