-- The views there are, those first that others depend on.
SELECT view_name FROM view_schedules ORDER BY cardinality(depends_on), view_name
