-- One-shot facts for `attemptd status`, as one JSON document, in some milliseconds however much there
-- is: counted up to 10,000, from there on PostgreSQL's own estimate, which is said with it; rejected
-- writes are those of the ledger's counters (of this generation of the log).
WITH counted AS (
    SELECT (SELECT count(*) FROM (SELECT FROM attempt_rows LIMIT 10001) AS r) AS attempts,
           (SELECT count(*) FROM (SELECT FROM submissions LIMIT 10001) AS s) AS submitted,
           (SELECT count(*) FROM (SELECT FROM exams LIMIT 10001) AS e) AS exams
), estimated AS (
    SELECT relname, greatest(reltuples, 0)::bigint AS rows
    FROM pg_class
    WHERE oid IN ('attempt_rows'::regclass, 'submissions'::regclass, 'exams'::regclass)
), sizes AS (
    SELECT CASE WHEN c.attempts <= 10000 THEN c.attempts ELSE greatest(c.attempts, a.rows) END AS attempts,
           c.attempts > 10000 AS attempts_estimated,
           CASE WHEN c.submitted <= 10000 THEN c.submitted ELSE greatest(c.submitted, s.rows) END AS submitted,
           c.submitted > 10000 AS submitted_estimated,
           CASE WHEN c.exams <= 10000 THEN c.exams ELSE greatest(c.exams, e.rows) END AS exams
    FROM counted c
    JOIN estimated a ON a.relname = 'attempt_rows'
    JOIN estimated s ON s.relname = 'submissions'
    JOIN estimated e ON e.relname = 'exams'
)
SELECT jsonb_build_object(
    'partitions', coalesce((
        SELECT jsonb_agg(jsonb_build_object(
                   'topic', topic, 'partition', partition, 'generation', generation,
                   'first_offset', first_offset, 'next_offset', next_offset,
                   'published_offset', published_offset, 'epoch', epoch, 'owner', owner,
                   'records', records, 'applied', applied, 'duplicate', duplicate, 'stale', stale,
                   'late', late, 'dead', dead, 'gaps', gaps,
                   'idle_s', greatest(extract(epoch FROM now() - updated_at), 0)::bigint,
                   'updated_at', to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
               ORDER BY topic, partition)
        FROM ingest_progress), '[]'),
    'outcomes', (
        SELECT jsonb_build_object(
                   'records', coalesce(sum(records), 0), 'applied', coalesce(sum(applied), 0),
                   'duplicate', coalesce(sum(duplicate), 0), 'stale', coalesce(sum(stale), 0),
                   'late', coalesce(sum(late), 0), 'dead', coalesce(sum(dead), 0),
                   'gaps', coalesce(sum(gaps), 0))
        FROM ingest_progress),
    'attempts', (
        SELECT jsonb_build_object(
                   'attempts', attempts, 'attempts_estimated', attempts_estimated,
                   'submitted', submitted, 'submitted_estimated', submitted_estimated,
                   'without_start', (SELECT count(*) FROM (
                       SELECT FROM attempt_rows WHERE exam_id IS NULL LIMIT 10000) AS r))
        FROM sizes),
    'exams', (SELECT exams FROM sizes),
    'submissions', (SELECT submitted FROM sizes),
    'activity_events_estimate', (
        SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'activity_events'::regclass),
    'rejected_writes', (
        SELECT jsonb_build_object('stale', coalesce(sum(stale), 0), 'late', coalesce(sum(late), 0))
        FROM ingest_progress),
    'dead_letters', coalesce((
        SELECT jsonb_object_agg(reason, n)
        FROM (SELECT reason, count(*) AS n
              FROM (SELECT reason FROM dead_letters
                    WHERE replayed_at IS NULL AND discarded_at IS NULL AND erased_at IS NULL
                    ORDER BY dead_at LIMIT 10000) AS l
              GROUP BY reason) AS open), '{}'),
    'foreign_changes', (SELECT count(*) FROM (SELECT FROM foreign_changes LIMIT 10000) AS f),
    'views', coalesce((
        SELECT jsonb_agg(jsonb_build_object(
                   'view', f.view_name, 'stale', f.stale, 'behind_records', f.behind_records,
                   'behind_s', extract(epoch FROM f.behind)::bigint,
                   'as_of', to_char(f.as_of AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                   'last_duration_ms', s.last_duration_ms, 'refreshes', s.refreshes,
                   'last_error', s.last_error)
               ORDER BY f.view_name)
        FROM view_freshness f JOIN view_schedules s USING (view_name)), '[]'))::text
