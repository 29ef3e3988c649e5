-- Which rights the worker needs and this role does not have: [{"right": …, "grant": the statement}].
WITH needed AS (
    SELECT r.name AS privilege, format('%I.%I', current_schema(), t.name) AS object, '' AS kind,
           to_regclass(format('%I.%I', current_schema(), t.name))::oid AS id
    FROM (VALUES
        ('attempt_rows',        '{SELECT,INSERT,UPDATE}'::text[]),
        ('attempt_answers',     '{SELECT,INSERT}'),
        ('exams',               '{SELECT,INSERT}'),
        ('submissions',         '{SELECT,INSERT,UPDATE}'),
        ('activity_events',     '{SELECT,INSERT}'),
        ('rejected_writes',     '{SELECT,INSERT}'),
        ('dead_letters',        '{SELECT,INSERT}'),
        ('ingest_progress',     '{SELECT,INSERT,UPDATE}'),
        ('foreign_changes',     '{SELECT,UPDATE,DELETE}'),
        ('foreign_activity',    '{SELECT,UPDATE,DELETE}'),
        ('foreign_progress',    '{SELECT,UPDATE}'),
        ('view_schedules',      '{SELECT,UPDATE}'),
        ('view_requests',       '{SELECT,INSERT,UPDATE}'),
        ('outcome_settings',    '{SELECT,INSERT}'),
        ('schema_migrations',   '{SELECT}')
    ) AS t (name, privileges)
    CROSS JOIN LATERAL unnest(t.privileges) AS r (name)
    UNION ALL
    -- The functions that act as the owner, for what a worker may not do itself; and those that
    -- statements and triggers call, which everybody may use unless it was revoked.
    SELECT 'EXECUTE', f.oid::regprocedure::text, 'FUNCTION ', f.oid
    FROM pg_proc f
    WHERE f.pronamespace = current_schema()::regnamespace
      AND f.proname IN ('refresh_view', 'activity_month_wanted', 'make_activity_partition',
                        'drop_activity_partition', 'expire_activity', 'attempt_fold',
                        'attempt_fold_clearing', 'attempt_clear_keys', 'attempt_merge',
                        'attempt_guard_open', 'attempt_guard_refuse', 'cron_due', 'cron_field',
                        'foreign_position', 'ledger_position')
    UNION ALL
    SELECT 'USAGE', quote_ident(current_schema()), 'SCHEMA ', current_schema()::regnamespace::oid
)
SELECT coalesce(jsonb_agg(jsonb_build_object(
           'right', privilege || ' ON ' || object,
           'grant', format('GRANT %s ON %s%s TO %I', privilege, kind, object, current_user))
           ORDER BY kind, object, privilege), '[]')::text
FROM needed
WHERE NOT CASE kind WHEN '' THEN has_table_privilege(id, privilege)
                    WHEN 'SCHEMA ' THEN has_schema_privilege(id, privilege)
                    ELSE has_function_privilege(id, privilege) END
