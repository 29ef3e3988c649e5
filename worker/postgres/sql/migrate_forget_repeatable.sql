-- A repeatable file is taken back, in the transaction that took it back.
--   $1 text   file
DELETE FROM schema_repeatables WHERE name = $1::text
