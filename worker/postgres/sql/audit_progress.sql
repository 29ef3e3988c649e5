-- The ledger, and beside each partition what the tables of outcomes hold of it.
SELECT p.topic, p.partition, p.generation, p.first_offset, p.next_offset, p.published_offset,
       p.records, p.applied, p.duplicate, p.stale, p.late, p.dead, p.gaps,
       coalesce(r.stale, 0), coalesce(r.late, 0), coalesce(d.dead, 0), coalesce(s.submits, 0),
       coalesce(r.outside, 0) + coalesce(d.outside, 0) + coalesce(s.outside, 0)
FROM ingest_progress p
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE outcome = 'stale') AS stale,
           count(*) FILTER (WHERE outcome = 'late')  AS late,
           count(*) FILTER (WHERE generation = p.generation
                            AND (record_offset >= p.next_offset OR record_offset < p.first_offset))
               AS outside
    FROM rejected_writes WHERE topic = p.topic AND partition = p.partition
) r ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS dead,
           count(*) FILTER (WHERE generation = p.generation
                            AND (record_offset >= p.next_offset OR record_offset < p.first_offset))
               AS outside
    FROM dead_letters WHERE topic = p.topic AND partition = p.partition
) d ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS submits,
           count(*) FILTER (WHERE generation = p.generation
                            AND (record_offset >= p.next_offset OR record_offset < p.first_offset))
               AS outside
    FROM submissions WHERE topic = p.topic AND partition = p.partition
) s ON true
ORDER BY p.topic, p.partition
