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

CREATE TABLE view_schedules (
    view_name        text        PRIMARY KEY,
    every            interval,
    cron             text,
    max_staleness    interval,
    depends_on       text[]      NOT NULL DEFAULT '{}',
    enabled          boolean     NOT NULL DEFAULT true,
    requested_at     timestamptz,
    requests         bigint      NOT NULL DEFAULT 0,
    met_requests     bigint      NOT NULL DEFAULT 0,
    position         bigint,
    foreign_position bigint,
    as_of            timestamptz,
    refreshes        bigint      NOT NULL DEFAULT 0,
    failures         bigint      NOT NULL DEFAULT 0,
    next_try_at      timestamptz,
    last_started_at  timestamptz,
    last_finished_at timestamptz,
    last_duration_ms bigint,
    last_error       text,
    CONSTRAINT view_schedules_one_rhythm CHECK (every IS NULL OR cron IS NULL),
    CONSTRAINT view_schedules_requests_met CHECK (met_requests <= requests)
) WITH (fillfactor = 50);

COMMENT ON TABLE view_schedules IS
    'When which view is refreshed, and what its last refresh reflects. A worker takes a due row with FOR UPDATE SKIP LOCKED.';
COMMENT ON COLUMN view_schedules.every IS 'least time between two refreshes; without every and cron: on request only';
COMMENT ON COLUMN view_schedules.cron IS 'minute hour day month weekday, UTC; instead of every';
COMMENT ON COLUMN view_schedules.max_staleness IS 'refreshed at the latest when it is this old and something is new';
COMMENT ON COLUMN view_schedules.depends_on IS 'views whose newer refresh makes this one due';
COMMENT ON COLUMN view_schedules.requests IS 'raised by each request for a refresh';
COMMENT ON COLUMN view_schedules.met_requests IS 'requests there were when the last good refresh began';
COMMENT ON COLUMN view_schedules.position IS 'ledger_position() before the last good refresh began';
COMMENT ON COLUMN view_schedules.foreign_position IS 'foreign_progress.taken before the last good refresh began';
COMMENT ON COLUMN view_schedules.failures IS 'since the last good refresh; it is tried again at next_try_at';

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

-- migrate:down

DROP VIEW view_freshness;
DROP TABLE view_schedules;
DROP FUNCTION ledger_position();
DROP MATERIALIZED VIEW student_activity_stats;
DROP MATERIALIZED VIEW question_stats;
DROP MATERIALIZED VIEW exam_attempt_stats;
