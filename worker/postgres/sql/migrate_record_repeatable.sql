-- A repeatable file is applied, in the transaction that applied it.
--   $1 text   file
--   $2 text   checksum in hex
--   $3 text   duration in ms
INSERT INTO schema_repeatables (name, checksum, duration_ms)
VALUES ($1::text, decode($2::text, 'hex'), $3::text::bigint)
ON CONFLICT (name) DO UPDATE
SET checksum = excluded.checksum, applied_at = now(), duration_ms = excluded.duration_ms
