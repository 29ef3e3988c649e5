-- What `attemptd doctor` looks at before any table of ours is needed.
--   $1 text   schema
SELECT jsonb_build_object(
    'version_num', current_setting('server_version_num')::int,
    'version', current_setting('server_version'),
    'database', current_database(),
    'user', current_user,
    'in_recovery', pg_is_in_recovery(),
    'encoding', current_setting('server_encoding'),
    'fsync', current_setting('fsync'),
    'full_page_writes', current_setting('full_page_writes'),
    'synchronous_commit', current_setting('synchronous_commit'),
    'autovacuum', current_setting('autovacuum'),
    'max_connections', current_setting('max_connections')::int,
    'ssl', coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
    'schema_exists', to_regnamespace(quote_ident($1::text)) IS NOT NULL,
    'may_create', CASE WHEN to_regnamespace(quote_ident($1::text)) IS NULL
        THEN has_database_privilege(current_database(), 'CREATE')
        ELSE has_schema_privilege(to_regnamespace(quote_ident($1::text)), 'CREATE') END)::text
