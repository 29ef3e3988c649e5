-- The same while only dbmate has been here.
SELECT version::bigint, version, NULL, NULL, NULL
FROM schema_migrations
ORDER BY version::bigint
