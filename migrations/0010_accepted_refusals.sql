-- The operator's word that records which the database refuses are bad themselves, so that a
-- partition halted for data_errors may dead-letter them and go on: `attemptd dlq accept`.

-- migrate:up

ALTER TABLE ingest_progress
    ADD COLUMN refusals_generation bigint,
    ADD COLUMN refusals_until      bigint,
    ADD CONSTRAINT ingest_progress_refusals_whole
        CHECK ((refusals_generation IS NULL) = (refusals_until IS NULL));

COMMENT ON COLUMN ingest_progress.refusals_until IS
    'Records before this offset that the database refuses are dead-lettered even where a burst of them would halt the partition (dlq accept); holds in refusals_generation only.';

-- migrate:down

ALTER TABLE ingest_progress
    DROP COLUMN refusals_generation,
    DROP COLUMN refusals_until;
