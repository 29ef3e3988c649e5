-- The version of the schema that we are connected to; null for an empty ledger of migrations.
SELECT max(version::bigint) FROM schema_migrations
