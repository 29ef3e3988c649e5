-- The ledger, and beside each partition what the tables of outcomes hold of its present generation.
-- The last column: how many records earlier generations have settled, null when nobody knows.
SELECT p.topic, p.partition, p.generation, p.first_offset, p.next_offset, p.published_offset,
       p.records, p.applied, p.duplicate, p.stale, p.late, p.dead, p.gaps,
       r.stale, r.late, d.dead, s.submits, r.outside + d.outside + s.outside,
       CASE WHEN p.generation = 1 THEN 0
            WHEN e.generations = p.generation - 1 THEN e.records END
FROM ingest_progress p
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE outcome = 'stale') AS stale,
           count(*) FILTER (WHERE outcome = 'late')  AS late,
           count(*) FILTER (WHERE record_offset >= p.next_offset OR record_offset < p.first_offset)
               AS outside
    FROM rejected_writes
    WHERE topic = p.topic AND partition = p.partition AND generation = p.generation
) r
CROSS JOIN LATERAL (
    SELECT count(*) AS dead,
           count(*) FILTER (WHERE record_offset >= p.next_offset OR record_offset < p.first_offset)
               AS outside
    FROM dead_letters
    WHERE topic = p.topic AND partition = p.partition AND generation = p.generation
) d
CROSS JOIN LATERAL (
    SELECT count(*) AS submits,
           count(*) FILTER (WHERE record_offset >= p.next_offset OR record_offset < p.first_offset)
               AS outside
    FROM submissions
    WHERE topic = p.topic AND partition = p.partition AND generation = p.generation
) s
CROSS JOIN LATERAL (
    -- Each accept-gap accounts for the generation that it ended, and for those that it leapt over:
    -- they were seen elsewhere, before this database was put back, and settled nothing in it.
    SELECT sum(g.made - coalesce(g.ended, g.known + 1)) AS generations,
           coalesce(sum(g.records), 0) AS records
    FROM audit_log
    CROSS JOIN LATERAL (
        SELECT (detail->>'generation')::bigint AS made,
               (detail->'before'->>'generation')::bigint AS ended,
               coalesce((detail->>'known')::bigint, (detail->>'generation')::bigint - 1) AS known,
               (detail->'before'->>'records')::bigint AS records
    ) g
    WHERE action = 'accept-gap' AND topic = p.topic AND partition = p.partition
      AND g.made <= p.generation
) e
ORDER BY p.topic, p.partition
