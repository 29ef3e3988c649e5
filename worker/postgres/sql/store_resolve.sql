-- Where the ledger stands, once whoever still holds the rows has let go of them. A plain SELECT
-- would show the state before a commit that is still under way. Of a partition that somebody else
-- has claimed meanwhile nothing is given: his claim waited for that commit.
--   $1 text[]    topics
--   $2 int4[]    partitions
--   $3 text      who we are
SELECT i.ordinal, p.generation, p.next_offset, p.published_offset, p.epoch
FROM ingest_progress p
JOIN unnest($1::text[], $2::int4[]) WITH ORDINALITY AS i (topic, partition, ordinal)
    ON p.topic = i.topic AND p.partition = i.partition
WHERE p.owner = $3::text
ORDER BY p.topic COLLATE "C", p.partition
FOR NO KEY UPDATE OF p
