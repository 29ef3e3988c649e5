-- What the database holds, as a whole.
--   $1 text  the topic of writes      $2 text  the topic of activity
SELECT (SELECT count(*) FROM attempt_rows),
       (SELECT count(*) FROM attempt_rows WHERE exam_id IS NULL),
       (SELECT count(*) FROM attempt_rows WHERE status = 'submitted'),
       (SELECT count(*) FROM attempt_rows WHERE foreign_revision IS NOT NULL),
       (SELECT count(*) FROM activity_events),
       (SELECT count(*) FROM submissions),
       -- rows of outcomes whose partition the ledger does not know
       (SELECT count(*) FROM rejected_writes w
        WHERE NOT EXISTS (SELECT FROM ingest_progress p
                          WHERE p.topic = w.topic AND p.partition = w.partition)),
       (SELECT count(*) FROM dead_letters w
        WHERE w.topic IN ($1, $2)
          AND NOT EXISTS (SELECT FROM ingest_progress p
                          WHERE p.topic = w.topic AND p.partition = w.partition))
