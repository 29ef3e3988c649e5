-- What is applied of the repeatable files: version (none), file, checksum in hex, time, duration.
SELECT 0, name, encode(checksum, 'hex'),
       to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), duration_ms
FROM schema_repeatables
ORDER BY name
