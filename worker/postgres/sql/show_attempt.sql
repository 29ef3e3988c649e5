-- All that is known of one attempt, but its activity's contents. No row for one that nobody knows.
--   $1 uuid   attempt
-- Gives the whole as JSON; its state in lines for people; auto_save_data and answers.
WITH asked AS (
    SELECT $1::uuid AS id
), rejected AS (
    SELECT jsonb_agg(jsonb_build_object(
               'id', w.id, 'outcome', w.outcome, 'reason', w.reason, 'event_id', w.event_id,
               'expected_version', w.expected_version, 'row_version', w.row_version, 'topic', w.topic,
               'partition', w.partition, 'record_offset', w.record_offset,
               'rejected_at', to_char(w.rejected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
               ORDER BY w.id) AS list,
           string_agg(format(E'rejected      %s %s, expected %s, the row was at %s; attemptd rejected show %s\n',
                             w.outcome, coalesce(w.reason, ''), w.expected_version, w.row_version, w.id), ''
                      ORDER BY w.id) AS lines
    FROM (SELECT * FROM rejected_writes WHERE attempt_id = $1::uuid ORDER BY id DESC LIMIT 20) AS w
), letters AS (
    SELECT jsonb_agg(jsonb_build_object(
               'id', l.id, 'reason', l.reason, 'event_id', l.event_id, 'topic', l.topic,
               'partition', l.partition, 'record_offset', l.record_offset,
               'dead_at', to_char(l.dead_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
               'replayed', l.replayed_at IS NOT NULL, 'discarded', l.discarded_at IS NOT NULL)
               ORDER BY l.id) AS list,
           string_agg(format(E'dead letter   %s%s; attemptd dlq show %s\n', l.reason,
                             CASE WHEN l.replayed_at IS NOT NULL THEN ', replayed'
                                  WHEN l.discarded_at IS NOT NULL THEN ', discarded' END, l.id), ''
                      ORDER BY l.id) AS lines
    FROM (SELECT * FROM dead_letters WHERE attempt_id = $1::uuid ORDER BY id DESC LIMIT 20) AS l
), audited AS (
    SELECT jsonb_agg(jsonb_build_object(
               'id', a.id, 'action', a.action, 'actor', a.actor, 'reason', a.reason,
               'happened_at', to_char(a.happened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
               ORDER BY a.id) AS list,
           string_agg(format(E'audit         %s by %s at %s%s\n', a.action, a.actor,
                             to_char(a.happened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                             ': ' || a.reason), '' ORDER BY a.id) AS lines
    FROM (SELECT * FROM audit_log WHERE attempt_id = $1::uuid ORDER BY id DESC LIMIT 20) AS a
), activity AS (
    SELECT count(*) AS events, max(occurred_at) AS last_at
    FROM activity_events WHERE attempt_id = $1::uuid
)
SELECT jsonb_pretty(jsonb_build_object(
           'attempt', to_jsonb(a),
           'recent_event_ids', to_jsonb(r.recent_event_ids),
           'submission', CASE WHEN s.attempt_id IS NOT NULL THEN to_jsonb(s) - 'attempt_id' END,
           'rejected_writes', coalesce(rejected.list, '[]'),
           'dead_letters', coalesce(letters.list, '[]'),
           'audit_log', coalesce(audited.list, '[]'),
           'activity', jsonb_build_object('events', activity.events, 'last_at', activity.last_at))),
       concat(
           format(E'attempt       %s, %s, version %s, revision %s\n', asked.id,
                  coalesce(a.status, 'not in attempts'), coalesce(a.version::text, '-'),
                  coalesce(a.revision::text, '-')),
           format(E'exam          %s\nstudent       %s\n', coalesce(a.exam_id::text, '(its start has not come)'),
                  coalesce(a.student_id::text, '-')),
           format(E'times (UTC)   started %s, deadline %s, submitted %s, updated %s\n',
                  coalesce(to_char(a.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), '-'),
                  coalesce(to_char(a.deadline_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), '-'),
                  coalesce(to_char(a.submitted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), '-'),
                  coalesce(to_char(a.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), '-')),
           format(E'last events   %s\n', coalesce(nullif(array_to_string(r.recent_event_ids, ' '), ''), '-')),
           CASE WHEN s.attempt_id IS NOT NULL THEN
               format(E'submission    version %s, %s missing, %s, digest %s%s\n', s.version, s.missing,
                      CASE WHEN s.after_deadline THEN 'after the deadline'
                           WHEN NOT s.after_deadline THEN 'in time' ELSE 'deadline not known' END,
                      coalesce(encode(s.answers_digest, 'hex'), 'not computed yet'),
                      CASE WHEN s.topic IS NULL THEN ', made by SQL'
                           ELSE format(', %s[%s] at offset %s', s.topic, s.partition, s.record_offset)
                      END) END,
           rejected.lines, letters.lines, audited.lines,
           format(E'activity      %s events%s\n', activity.events,
                  ', the last at ' || to_char(activity.last_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'))),
       jsonb_pretty(a.auto_save_data), jsonb_pretty(a.answers)
FROM asked
CROSS JOIN rejected CROSS JOIN letters CROSS JOIN audited CROSS JOIN activity
LEFT JOIN attempts a ON a.id = asked.id
LEFT JOIN attempt_rows r ON r.id = asked.id
LEFT JOIN submissions s ON s.attempt_id = asked.id
WHERE a.id IS NOT NULL OR rejected.list IS NOT NULL OR letters.list IS NOT NULL
   OR audited.list IS NOT NULL OR activity.events > 0
