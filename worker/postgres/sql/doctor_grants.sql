-- Which rights the worker needs and this role does not have, as an array of "RIGHT ON table".
SELECT coalesce(jsonb_agg(r.name || ' ON ' || t.name ORDER BY t.name, r.name), '[]')::text
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
) AS t (name, rights)
CROSS JOIN LATERAL unnest(t.rights) AS r (name)
WHERE to_regclass(t.name) IS NOT NULL AND NOT has_table_privilege(to_regclass(t.name), r.name)
