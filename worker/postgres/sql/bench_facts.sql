-- How much WAL the server has written, and how many records the benchmark's ledger has applied.
SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint,
       (SELECT coalesce(sum(applied), 0)::bigint FROM ingest_progress)
