-- What the tables themselves say about the platform's health.
SELECT jsonb_build_object(
    'without_start', (SELECT count(*) FROM attempt_rows WHERE exam_id IS NULL),
    'open_letters', (SELECT count(*) FROM dead_letters
                     WHERE replayed_at IS NULL AND discarded_at IS NULL
                       AND erased_at IS NULL),
    'failing_views', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                          'view', view_name, 'error', last_error)), '[]') FROM view_schedules
                      WHERE last_error IS NOT NULL),
    'outcome_settings', (SELECT coalesce(jsonb_object_agg(name, value), '{}')
                         FROM outcome_settings),
    'partitions', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                       'topic', topic, 'partition', partition, 'next_offset', next_offset)), '[]')
                   FROM ingest_progress))::text
