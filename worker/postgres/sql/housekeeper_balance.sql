-- Conservation, in one snapshot: by how much the ledger's counters differ from each other and from
-- the tables of outcomes. What was simply applied, by far the most, has no rows to be counted.
-- Gives topic, partition, and the difference, which is always 0.
SELECT p.topic, p.partition::bigint,
       abs(p.records - p.applied - p.duplicate - p.stale - p.late - p.dead) +
       abs(p.stale - r.stale) + abs(p.late - r.late) + abs(p.dead - d.dead) +
       r.outside + d.outside
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
ORDER BY p.topic, p.partition
