-- The tables of applied migrations: dbmate's, with columns of ours, and one of repeatable ones.
DO $$
BEGIN
    CREATE TABLE IF NOT EXISTS schema_migrations (version varchar(128) PRIMARY KEY);
    ALTER TABLE schema_migrations
        ADD COLUMN IF NOT EXISTS name        text,
        ADD COLUMN IF NOT EXISTS checksum    bytea,
        ADD COLUMN IF NOT EXISTS applied_at  timestamptz DEFAULT now(),
        ADD COLUMN IF NOT EXISTS duration_ms bigint;
    COMMENT ON TABLE schema_migrations IS
        'Applied migrations. checksum is the BLAKE2b-256 of the file; null if dbmate applied it.';
    CREATE TABLE IF NOT EXISTS schema_repeatables (
        name        text        PRIMARY KEY,
        checksum    bytea       NOT NULL,
        applied_at  timestamptz NOT NULL DEFAULT now(),
        duration_ms bigint
    );
    COMMENT ON TABLE schema_repeatables IS
        'Applied files of functions and views. checksum is the BLAKE2b-256 of the file: another one in the program means that it is applied again.';
END $$
