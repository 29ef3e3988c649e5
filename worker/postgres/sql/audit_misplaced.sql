-- Records that have more than one outcome, and rows of outcomes for offsets that the ledger has not
-- settled: the first hundred.
-- Gives topic, partition, generation, offset, and what is there.
WITH outcomes AS (
    SELECT topic, partition, generation, record_offset, 'rejected_writes: ' || outcome AS row
    FROM rejected_writes
    UNION ALL
    SELECT topic, partition, generation, record_offset, 'dead_letters: ' || reason
    FROM dead_letters JOIN ingest_progress USING (topic, partition, generation)
    UNION ALL
    SELECT topic, partition, generation, record_offset, 'submissions'
    FROM submissions WHERE topic IS NOT NULL
), doubled AS (
    SELECT topic, partition, generation, record_offset, string_agg(row, ', ' ORDER BY row) AS rows
    FROM outcomes
    GROUP BY topic, partition, generation, record_offset
    HAVING count(*) > 1
), outside AS (
    SELECT o.topic, o.partition, o.generation, o.record_offset, o.row AS rows
    FROM outcomes o
    JOIN ingest_progress p USING (topic, partition, generation)
    WHERE o.record_offset < p.first_offset OR o.record_offset >= p.next_offset
)
SELECT topic, partition, generation, record_offset, rows, true AS doubled FROM doubled
UNION ALL
SELECT topic, partition, generation, record_offset, rows, false FROM outside
ORDER BY topic, partition, generation, record_offset
LIMIT 100
