-- Earlier generations of the log (accept-gap), as audit_log keeps their last rows of the ledger, and
-- beside each what the tables of outcomes hold of it.
SELECT l.topic, l.partition, g.generation, g.records, g.applied, g.duplicate, g.stale, g.late, g.dead,
       r.stale, r.late, d.dead, s.submits
FROM audit_log l
CROSS JOIN LATERAL jsonb_to_record(l.detail->'before') AS g (
    generation bigint, records bigint, applied bigint, duplicate bigint, stale bigint, late bigint,
    dead bigint)
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE outcome = 'stale') AS stale,
           count(*) FILTER (WHERE outcome = 'late')  AS late
    FROM rejected_writes
    WHERE topic = l.topic AND partition = l.partition AND generation = g.generation
) r
CROSS JOIN LATERAL (
    SELECT count(*) AS dead FROM dead_letters
    WHERE topic = l.topic AND partition = l.partition AND generation = g.generation
) d
CROSS JOIN LATERAL (
    SELECT count(*) AS submits FROM submissions
    WHERE topic = l.topic AND partition = l.partition AND generation = g.generation
) s
WHERE l.action = 'accept-gap' AND jsonb_typeof(l.detail->'before') = 'object'
ORDER BY l.topic, l.partition, g.generation
