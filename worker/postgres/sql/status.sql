-- One-shot facts for `attemptd status`, as one JSON document. Exact where a count is cheap;
-- activity_events, which may be huge, is PostgreSQL's own estimate.
SELECT jsonb_build_object(
    'partitions', coalesce((
        SELECT jsonb_agg(jsonb_build_object(
                   'topic', topic, 'partition', partition, 'generation', generation,
                   'first_offset', first_offset, 'next_offset', next_offset,
                   'published_offset', published_offset, 'epoch', epoch, 'owner', owner,
                   'records', records, 'applied', applied, 'duplicate', duplicate, 'stale', stale,
                   'late', late, 'dead', dead, 'gaps', gaps,
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
                   'attempts', count(*),
                   'submitted', count(*) FILTER (WHERE status = 'submitted'),
                   'without_start', count(*) FILTER (WHERE exam_id IS NULL))
        FROM attempt_rows),
    'exams', (SELECT count(*) FROM exams),
    'submissions', (SELECT count(*) FROM submissions),
    'activity_events_estimate', (
        SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'activity_events'::regclass),
    'rejected_writes', (
        SELECT jsonb_build_object('stale', count(*) FILTER (WHERE outcome = 'stale'),
                                  'late', count(*) FILTER (WHERE outcome = 'late'))
        FROM rejected_writes),
    'dead_letters', coalesce((
        SELECT jsonb_object_agg(reason, n)
        FROM (SELECT reason, count(*) AS n FROM dead_letters
              WHERE replayed_at IS NULL AND discarded_at IS NULL AND erased_at IS NULL
              GROUP BY reason) AS open), '{}'),
    'foreign_changes', (SELECT count(*) FROM foreign_changes),
    'views', coalesce((
        SELECT jsonb_agg(jsonb_build_object(
                   'view', f.view_name, 'stale', f.stale, 'behind_records', f.behind_records,
                   'behind_s', extract(epoch FROM f.behind)::bigint,
                   'as_of', to_char(f.as_of AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                   'last_duration_ms', s.last_duration_ms, 'refreshes', s.refreshes,
                   'last_error', s.last_error)
               ORDER BY f.view_name)
        FROM view_freshness f JOIN view_schedules s USING (view_name)), '[]'))::text
