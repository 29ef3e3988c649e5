-- Waits for a flush that is under way in this partition, and lets none begin.
--   $1 text  topic      $2 int  partition
SELECT 1 FROM ingest_progress WHERE topic = $1 AND partition = $2::int FOR UPDATE
