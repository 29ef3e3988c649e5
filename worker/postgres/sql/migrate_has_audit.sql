-- Is there an audit log to look into?
SELECT to_regclass('audit_log') IS NOT NULL
