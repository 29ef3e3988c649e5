-- Takes the locks of progress rows in the one order that everybody keeps.
--   $1 text[]    topics
--   $2 int4[]    partitions
SELECT
FROM ingest_progress p
JOIN unnest($1::text[], $2::int4[]) AS i (topic, partition)
    ON p.topic = i.topic AND p.partition = i.partition
ORDER BY p.topic COLLATE "C", p.partition
FOR NO KEY UPDATE OF p
