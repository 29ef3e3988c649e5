-- A migration is applied, in the transaction that applied it. Also takes over what dbmate applied.
--   $1 text   version, as dbmate writes it
--   $2 text   file
--   $3 text   checksum in hex
--   $4 text   duration in ms, null if unknown
INSERT INTO schema_migrations (version, name, checksum, duration_ms)
VALUES ($1::text, $2::text, decode($3::text, 'hex'), $4::text::bigint)
ON CONFLICT (version) DO UPDATE SET name = excluded.name, checksum = excluded.checksum
