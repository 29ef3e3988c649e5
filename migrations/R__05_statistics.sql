-- Statistics of now, where the materialized views have those of their last refresh; and how far
-- behind these are.

-- migrate:up

CREATE OR REPLACE FUNCTION get_attempt_statistics(p_exam_id uuid)
    RETURNS TABLE (exam_id uuid, attempts bigint, in_progress bigint, submitted bigint,
                   after_deadline bigint, answered_avg numeric, first_started_at timestamptz,
                   last_submitted_at timestamptz, duration_p50 interval, duration_p90 interval)
    LANGUAGE sql STABLE
AS $$
    SELECT p_exam_id,
           count(*),
           count(*) FILTER (WHERE r.status = 'in_progress'),
           count(*) FILTER (WHERE r.status = 'submitted'),
           count(*) FILTER (WHERE r.submitted_at > r.deadline_at),
           avg(attempt_answered(attempt_fold(r.folded_answers, r.tail))),
           min(r.started_at),
           max(r.submitted_at),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY r.submitted_at - r.started_at),
           percentile_cont(0.9) WITHIN GROUP (ORDER BY r.submitted_at - r.started_at)
    FROM attempt_rows r
    WHERE r.exam_id = p_exam_id
$$;

COMMENT ON FUNCTION get_attempt_statistics(uuid) IS
    'The statistics of an exam as of now: one row, with zeros for an exam without attempts. answered_avg is over all attempts, durations over submitted ones. exam_attempt_stats has the same, older and cheaper.';

CREATE OR REPLACE FUNCTION get_active_attempts(p_exam_id uuid)
    RETURNS TABLE (attempt_id uuid, student_id uuid, version bigint, answered bigint,
                   started_at timestamptz, deadline_at timestamptz, updated_at timestamptz,
                   idle interval)
    LANGUAGE sql STABLE
AS $$
    SELECT r.id, r.student_id, r.version, attempt_answered(attempt_fold(r.folded_answers, r.tail)), r.started_at, r.deadline_at,
           r.updated_at, greatest(now() - r.updated_at, interval '0')
    FROM attempt_rows r
    WHERE r.exam_id = p_exam_id AND r.status = 'in_progress'
    ORDER BY r.updated_at, r.id
$$;

COMMENT ON FUNCTION get_active_attempts(uuid) IS
    'The attempts of an exam that are in progress, longest idle first; idle is the time since the last change.';

-- Changes move from "waiting" to "taken" in one transaction, so the sum only moves when somebody
-- changed something, and it is exact in every snapshot.
CREATE OR REPLACE FUNCTION foreign_position() RETURNS bigint
    LANGUAGE sql STABLE
AS $$
    SELECT f.taken + (SELECT count(*) FROM foreign_changes) + (SELECT count(*) FROM foreign_activity)
    FROM foreign_progress f
$$;

COMMENT ON FUNCTION foreign_position() IS
    'How many changes there ever were that did not come from the log: taken and waiting ones.';

CREATE OR REPLACE VIEW view_freshness AS
SELECT s.view_name,
       s.position,
       s.as_of,
       greatest(0, now_at.position - coalesce(s.position, 0))
           + greatest(0, now_at.foreign_position - coalesce(s.foreign_position, 0)) AS behind_records,
       CASE WHEN news.any THEN now() - s.as_of ELSE interval '0' END     AS behind,
       news.any                                                          AS stale
FROM view_schedules s
CROSS JOIN (SELECT ledger_position() AS position, foreign_position() AS foreign_position) AS now_at
CROSS JOIN LATERAL (
    SELECT (s.position, s.foreign_position) IS DISTINCT FROM (now_at.position, now_at.foreign_position) AS any
) AS news;

COMMENT ON VIEW view_freshness IS
    'How far each view is behind: position and as_of are those of its last refresh; stale as soon as anything was applied, or changed by others, since then.';

DO $$
DECLARE
    v_function regprocedure;
BEGIN
    FOREACH v_function IN ARRAY ARRAY[
        'get_attempt_statistics(uuid)', 'get_active_attempts(uuid)', 'foreign_position()']::regprocedure[]
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', v_function, current_schema());
    END LOOP;
END $$;

-- migrate:down

-- The view as migration 0005 made it.
CREATE OR REPLACE VIEW view_freshness AS
SELECT s.view_name,
       s.position,
       s.as_of,
       greatest(0, now_at.position - coalesce(s.position, 0))
           + greatest(0, now_at.taken - coalesce(s.foreign_position, 0)) AS behind_records,
       CASE WHEN news.any THEN now() - s.as_of ELSE interval '0' END     AS behind,
       news.any                                                          AS stale
FROM view_schedules s
CROSS JOIN (SELECT ledger_position() AS position, taken FROM foreign_progress) AS now_at
CROSS JOIN LATERAL (
    SELECT (s.position, s.foreign_position) IS DISTINCT FROM (now_at.position, now_at.taken) AS any
) AS news;

DROP FUNCTION IF EXISTS foreign_position();
DROP FUNCTION IF EXISTS get_active_attempts(uuid);
DROP FUNCTION IF EXISTS get_attempt_statistics(uuid);
