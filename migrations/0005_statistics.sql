-- Statistics: materialized views, when they are refreshed, and how far behind they are.
--
-- Attempts without a start belong to no exam yet and are left out.

-- migrate:up

CREATE MATERIALIZED VIEW exam_attempt_stats AS
SELECT exam_id,
       count(*)                                                          AS attempts,
       count(*) FILTER (WHERE status = 'in_progress')                    AS in_progress,
       count(*) FILTER (WHERE status = 'submitted')                      AS submitted,
       count(*) FILTER (WHERE submitted_at > deadline_at)                AS after_deadline,
       avg(attempt_answered(answers))                                    AS answered_avg,
       min(started_at)                                                   AS first_started_at,
       max(submitted_at)                                                 AS last_submitted_at,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY submitted_at - started_at) AS duration_p50,
       percentile_cont(0.9) WITHIN GROUP (ORDER BY submitted_at - started_at) AS duration_p90,
       now()                                                             AS as_of
FROM attempt_rows
WHERE exam_id IS NOT NULL
GROUP BY exam_id;
CREATE UNIQUE INDEX exam_attempt_stats_key ON exam_attempt_stats (exam_id);

CREATE MATERIALIZED VIEW question_stats AS
SELECT a.exam_id,
       q.question_id,
       count(*)                                         AS answered,
       count(*) FILTER (WHERE a.status = 'submitted')   AS submitted_answered,
       now()                                            AS as_of
FROM attempt_rows a
CROSS JOIN LATERAL jsonb_object_keys(a.answers) AS q (question_id)
WHERE a.exam_id IS NOT NULL
GROUP BY a.exam_id, q.question_id;
CREATE UNIQUE INDEX question_stats_key ON question_stats (exam_id, question_id);

CREATE MATERIALIZED VIEW student_activity_stats AS
SELECT a.student_id,
       count(*)                                         AS attempts,
       count(*) FILTER (WHERE a.status = 'submitted')   AS submitted,
       coalesce(sum(e.events), 0)::bigint               AS activity_events,
       max(e.last_at)                                   AS last_at,
       now()                                            AS as_of
FROM attempt_rows a
LEFT JOIN (SELECT attempt_id, count(*) AS events, max(occurred_at) AS last_at
           FROM activity_events GROUP BY attempt_id) e ON e.attempt_id = a.id
WHERE a.student_id IS NOT NULL
GROUP BY a.student_id;
CREATE UNIQUE INDEX student_activity_stats_key ON student_activity_stats (student_id);

COMMENT ON MATERIALIZED VIEW exam_attempt_stats IS
    'One row per exam with attempts. answered_avg: answered questions, over all attempts; durations: submitted ones.';
COMMENT ON MATERIALIZED VIEW question_stats IS
    'How many attempts of an exam have an answer to a question, and how many of them are submitted.';
COMMENT ON MATERIALIZED VIEW student_activity_stats IS
    'Attempts and activity of each student; last_at is the last activity event.';

-- A schedule is minute hour day month weekday, as cron has it: *, numbers, ranges, steps, lists.
CREATE FUNCTION cron_field(p_field text, p_min int, p_max int) RETURNS int[]
    LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
DECLARE
    v_part  text;
    v_parts text[];
    v_from  int;
    v_until int;
    v_all   int[] := '{}';
BEGIN
    FOREACH v_part IN ARRAY string_to_array(p_field, ',') LOOP
        v_parts := regexp_match(v_part, '^(\*|\d{1,2})(?:-(\d{1,2}))?(?:/(\d{1,2}))?$');
        v_from := CASE WHEN v_parts[1] = '*' THEN p_min ELSE v_parts[1]::int END;
        v_until := CASE WHEN v_parts[2] IS NOT NULL THEN v_parts[2]::int
                        WHEN v_parts[1] = '*' OR v_parts[3] IS NOT NULL THEN p_max
                        ELSE v_from END;
        IF v_parts IS NULL OR v_from < p_min OR v_until > p_max OR v_from > v_until
           OR v_parts[3]::int = 0 OR (v_parts[1] = '*' AND v_parts[2] IS NOT NULL) THEN
            RAISE EXCEPTION 'cron: % is no list of numbers from % to %', quote_literal(v_part), p_min, p_max
                USING errcode = 'invalid_parameter_value';
        END IF;
        v_all := v_all || ARRAY(SELECT generate_series(v_from, v_until, coalesce(v_parts[3]::int, 1)));
    END LOOP;
    RETURN v_all;
END $$;

CREATE FUNCTION cron_due(p_cron text, p_since timestamptz, p_until timestamptz) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
DECLARE
    v_fields   text[] := regexp_split_to_array(trim(p_cron), '\s+');
    v_minutes  int[];
    v_hours    int[];
    v_days     int[];
    v_months   int[];
    v_weekdays int[];
    v_any_day  boolean;
    v_first    timestamp;
BEGIN
    IF cardinality(v_fields) <> 5 THEN
        RAISE EXCEPTION 'cron: % has not five fields', quote_literal(p_cron)
            USING errcode = 'invalid_parameter_value';
    END IF;
    v_minutes  := cron_field(v_fields[1], 0, 59);
    v_hours    := cron_field(v_fields[2], 0, 23);
    v_days     := cron_field(v_fields[3], 1, 31);
    v_months   := cron_field(v_fields[4], 1, 12);
    v_weekdays := cron_field(v_fields[5], 0, 7);
    -- cron's rule: with both a day and a weekday given, either will do.
    v_any_day  := v_fields[3] LIKE '*%' OR v_fields[5] LIKE '*%';
    v_first := date_trunc('minute', greatest(p_since, p_until - interval '31 days') AT TIME ZONE 'UTC')
               + interval '1 minute';
    RETURN EXISTS (
        SELECT
        FROM generate_series(v_first, p_until AT TIME ZONE 'UTC', interval '1 minute') AS t
        CROSS JOIN LATERAL (SELECT extract(day FROM t)::int = ANY (v_days) AS day,
                                   extract(dow FROM t)::int = ANY (v_weekdays)
                                   OR extract(isodow FROM t)::int = ANY (v_weekdays) AS weekday) AS d
        WHERE extract(minute FROM t)::int = ANY (v_minutes)
          AND extract(hour FROM t)::int = ANY (v_hours)
          AND extract(month FROM t)::int = ANY (v_months)
          AND CASE WHEN v_any_day THEN d.day AND d.weekday ELSE d.day OR d.weekday END);
END $$;

COMMENT ON FUNCTION cron_due(text, timestamptz, timestamptz) IS
    'Whether the schedule (UTC) has a time after p_since, not after p_until; it looks back 31 days at most.';
COMMENT ON FUNCTION cron_field(text, int, int) IS
    'The numbers that one field of a schedule stands for.';

CREATE TABLE view_schedules (
    view_name        text        PRIMARY KEY,
    every            interval,
    cron             text,
    max_staleness    interval,
    depends_on       text[]      NOT NULL DEFAULT '{}',
    enabled          boolean     NOT NULL DEFAULT true,
    met_requests     bigint      NOT NULL DEFAULT 0,
    position         bigint,
    foreign_position bigint,
    as_of            timestamptz,
    refreshes        bigint      NOT NULL DEFAULT 0,
    published        bigint      NOT NULL DEFAULT 0,
    failures         bigint      NOT NULL DEFAULT 0,
    next_try_at      timestamptz,
    last_started_at  timestamptz,
    last_finished_at timestamptz,
    last_duration_ms bigint,
    last_error       text,
    CONSTRAINT view_schedules_one_rhythm CHECK (every IS NULL OR cron IS NULL),
    CONSTRAINT view_schedules_cron_valid CHECK (cron_due(cron, '2000-01-01Z', '2000-01-01Z') IS NOT NULL OR cron IS NULL)
) WITH (fillfactor = 50);

COMMENT ON TABLE view_schedules IS
    'When which view is refreshed, and what its last refresh reflects. A worker takes a due row with FOR UPDATE SKIP LOCKED.';
COMMENT ON COLUMN view_schedules.every IS 'least time between two refreshes; without every and cron: on request only';
COMMENT ON COLUMN view_schedules.cron IS 'minute hour day month weekday, UTC; instead of every';
COMMENT ON COLUMN view_schedules.max_staleness IS 'refreshed at the latest when it is this old and something is new';
COMMENT ON COLUMN view_schedules.depends_on IS 'views whose newer refresh makes this one due';
COMMENT ON COLUMN view_schedules.met_requests IS 'requests there were when the last good refresh began';
COMMENT ON COLUMN view_schedules.position IS 'ledger_position() before the last good refresh began';
COMMENT ON COLUMN view_schedules.foreign_position IS 'foreign_progress.taken before the last good refresh began';
COMMENT ON COLUMN view_schedules.failures IS 'since the last good refresh; it is tried again at next_try_at';
COMMENT ON COLUMN view_schedules.published IS 'the last refresh whose invalidation is known to be published';

-- A refresh holds the row of its schedule for as long as it takes. A request must not wait for it,
-- so requests are counted elsewhere (and without a foreign key, whose check would wait too).
CREATE TABLE view_requests (
    view_name    text        PRIMARY KEY,
    requests     bigint      NOT NULL DEFAULT 1,
    requested_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

COMMENT ON TABLE view_requests IS
    'How often a refresh was asked for. A request is met by a refresh that began after it: view_schedules.met_requests.';

CREATE FUNCTION ledger_position() RETURNS bigint
    LANGUAGE sql STABLE
RETURN (SELECT coalesce(sum(next_offset - first_offset), 0)::bigint FROM ingest_progress);

COMMENT ON FUNCTION ledger_position() IS 'How far the log is applied, over all partitions.';

INSERT INTO view_schedules (view_name, every, max_staleness, position, foreign_position, as_of)
SELECT v.view_name, v.every, v.max_staleness, ledger_position(), f.taken, now()
FROM foreign_progress f, (VALUES
    ('exam_attempt_stats',     interval '30 seconds', interval '5 minutes'),
    ('question_stats',         interval '2 minutes',  interval '10 minutes'),
    ('student_activity_stats', interval '2 minutes',  interval '10 minutes')
) AS v (view_name, every, max_staleness);

CREATE VIEW view_freshness AS
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

COMMENT ON VIEW view_freshness IS
    'How far each view is behind the ledger: stale as soon as anything was applied, or changed by others, since it was refreshed.';

-- The owner's right to refresh, for workers that do not own the views.
CREATE FUNCTION refresh_view(p_view_name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM view_schedules WHERE view_name = p_view_name) THEN
        RAISE EXCEPTION 'refresh_view: % is not in view_schedules', quote_literal(p_view_name)
            USING errcode = 'invalid_parameter_value';
    END IF;
    EXECUTE format('REFRESH MATERIALIZED VIEW CONCURRENTLY %I', p_view_name);
END $$;

REVOKE EXECUTE ON FUNCTION refresh_view(text) FROM PUBLIC;
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION refresh_view(text) SET search_path = %I, pg_temp', current_schema());
END $$;

COMMENT ON FUNCTION refresh_view(text) IS
    'Refreshes a scheduled view concurrently. The record of it is kept by the caller (attemptd run, attemptd refresh).';

-- migrate:down

DROP FUNCTION refresh_view(text);
DROP VIEW view_freshness;
DROP TABLE view_requests;
DROP TABLE view_schedules;
DROP FUNCTION cron_due(text, timestamptz, timestamptz);
DROP FUNCTION cron_field(text, int, int);
DROP FUNCTION ledger_position();
DROP MATERIALIZED VIEW student_activity_stats;
DROP MATERIALIZED VIEW question_stats;
DROP MATERIALIZED VIEW exam_attempt_stats;
