-- A migration is taken back, in the transaction that took it back.
--   $1 text   version
DELETE FROM schema_migrations WHERE version::bigint = $1::text::bigint
