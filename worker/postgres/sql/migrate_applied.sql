-- What is applied: version, file, checksum in hex, time, duration.
SELECT version::bigint, coalesce(name, version), encode(checksum, 'hex'),
       to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), duration_ms
FROM schema_migrations
ORDER BY version::bigint
