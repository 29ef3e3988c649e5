-- The statistics of an exam, and where they come from: the materialized view as long as nothing is
-- new since its refresh, else counted now.
--   $1 uuid      exam
--   $2 text      'live': counted now, whatever the view says; 'view': from the view, however old
-- Gives one JSON document; known is false for an exam that exams does not have.
WITH asked AS (
    SELECT $1::uuid AS exam_id, $2::text AS way
), fresh AS (
    SELECT f.as_of, f.stale, f.behind_records, f.behind
    FROM view_freshness f WHERE f.view_name = 'exam_attempt_stats'
), seen AS (
    SELECT s.* FROM exam_attempt_stats s JOIN asked USING (exam_id)
), choice AS (
    SELECT CASE WHEN asked.way = 'live' THEN 'asked'
                WHEN NOT EXISTS (SELECT FROM seen) THEN 'missing'
                WHEN asked.way = 'view' THEN NULL
                WHEN fresh.stale IS NOT FALSE THEN 'stale' END AS why_live
    FROM asked LEFT JOIN fresh ON true
), counted AS (
    SELECT exam_id, attempts, in_progress, submitted, after_deadline, answered_avg,
           first_started_at, last_submitted_at, duration_p50, duration_p90
    FROM seen WHERE (SELECT why_live IS NULL FROM choice)
    UNION ALL
    SELECT g.* FROM choice CROSS JOIN LATERAL get_attempt_statistics($1::uuid) AS g
    WHERE choice.why_live IS NOT NULL
)
SELECT jsonb_build_object(
    'exam_id', asked.exam_id,
    'known', e.id IS NOT NULL,
    'title', e.title,
    'source', CASE WHEN choice.why_live IS NULL THEN 'view' ELSE 'live' END,
    'why_live', choice.why_live,
    'as_of', to_char(CASE WHEN choice.why_live IS NULL THEN fresh.as_of ELSE now() END
                     AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    'view', jsonb_build_object(
        'as_of', to_char(fresh.as_of AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
        'stale', fresh.stale, 'behind_records', fresh.behind_records,
        'behind_s', extract(epoch FROM fresh.behind)::bigint),
    'statistics', jsonb_build_object(
        'attempts', c.attempts, 'in_progress', c.in_progress, 'submitted', c.submitted,
        'after_deadline', c.after_deadline, 'answered_avg', round(c.answered_avg, 3),
        'first_started_at', to_char(c.first_started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
        'last_submitted_at', to_char(c.last_submitted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
        'duration_p50_s', round(extract(epoch FROM c.duration_p50), 3),
        'duration_p90_s', round(extract(epoch FROM c.duration_p90), 3)))::text
FROM asked
LEFT JOIN fresh ON true
CROSS JOIN choice
LEFT JOIN counted c ON true
LEFT JOIN exams e ON e.id = asked.exam_id
