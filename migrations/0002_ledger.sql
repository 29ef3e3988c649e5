-- The ledger: how far the log is settled, and what became of each record that was not simply
-- applied. A flush changes these rows in the transaction that changes the attempts.

-- migrate:up

CREATE TABLE ingest_progress (
    topic               text        NOT NULL,
    partition           int         NOT NULL,
    generation          bigint      NOT NULL DEFAULT 1,
    first_offset        bigint      NOT NULL DEFAULT 0,
    next_offset         bigint      NOT NULL DEFAULT 0,
    published_offset    bigint      NOT NULL DEFAULT 0,
    epoch               bigint      NOT NULL DEFAULT 0,
    owner               text,
    records             bigint      NOT NULL DEFAULT 0,
    applied             bigint      NOT NULL DEFAULT 0,
    duplicate           bigint      NOT NULL DEFAULT 0,
    stale               bigint      NOT NULL DEFAULT 0,
    late                bigint      NOT NULL DEFAULT 0,
    dead                bigint      NOT NULL DEFAULT 0,
    gaps                bigint      NOT NULL DEFAULT 0,
    anchor_offset       bigint,
    anchor_timestamp_ms bigint,
    anchor_hash         bytea,
    updated_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition),
    CONSTRAINT ingest_progress_conserved
        CHECK (records = applied + duplicate + stale + late + dead),
    CONSTRAINT ingest_progress_offsets_ordered
        CHECK (first_offset <= next_offset AND published_offset <= next_offset),
    CONSTRAINT ingest_progress_anchor_whole
        CHECK ((anchor_offset IS NULL) = (anchor_hash IS NULL))
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 1000);

COMMENT ON TABLE ingest_progress IS
    'One row per partition of the log: where its next record is, and how many had which outcome. This, not the consumer group, is the truth about progress.';
COMMENT ON COLUMN ingest_progress.generation IS
    'Of the log; raised by accept-gap. With topic, partition and offset it names a record for ever.';
COMMENT ON COLUMN ingest_progress.published_offset IS
    'Below it, everything is published. Records in [published_offset, next_offset) are published again after a crash.';
COMMENT ON COLUMN ingest_progress.epoch IS
    'Raised by each worker that takes the partition; a commit with an older one fails.';
COMMENT ON COLUMN ingest_progress.gaps IS
    'Applied saves and submits whose expected version was ahead of the row.';
COMMENT ON COLUMN ingest_progress.anchor_hash IS
    'Hash of the last record consumed (at anchor_offset): shows whether the log is still the same.';

CREATE TABLE submissions (
    attempt_id     uuid        PRIMARY KEY CONSTRAINT submissions_attempt_fkey
                               REFERENCES attempt_rows ON DELETE CASCADE,
    event_id       uuid,
    version        bigint      NOT NULL,
    missing        bigint      NOT NULL DEFAULT 0,
    submitted_at   timestamptz NOT NULL,
    after_deadline boolean,
    answers_digest bytea,
    receipt        text,
    topic          text,
    partition      int,
    generation     bigint,
    record_offset  bigint,
    recorded_at    timestamptz NOT NULL DEFAULT now(),
    amended_at     timestamptz,
    CONSTRAINT submissions_missing_positive CHECK (missing >= 0),
    CONSTRAINT submissions_digest_length    CHECK (octet_length(answers_digest) = 32),
    CONSTRAINT submissions_record_whole
        CHECK (num_nulls(topic, partition, generation, record_offset) IN (0, 4))
);
CREATE UNIQUE INDEX submissions_record ON submissions (topic, partition, generation, record_offset);
CREATE INDEX submissions_unfinished ON submissions (attempt_id) WHERE answers_digest IS NULL;

COMMENT ON TABLE submissions IS
    'One row per submitted attempt. Without topic and offset the submit was made by SQL.';
COMMENT ON COLUMN submissions.missing IS
    'How many versions the submit skipped (expected version − row version): saves that it overtook.';
COMMENT ON COLUMN submissions.after_deadline IS 'null while the deadline is not known';
COMMENT ON COLUMN submissions.answers_digest IS
    'BLAKE2b-256 of the canonical text of the answers after the submit; null until a worker has filled it in (submits by SQL)';
COMMENT ON COLUMN submissions.receipt IS 'signed; null without a signing key';
COMMENT ON COLUMN submissions.amended_at IS
    'When maintain_attempt() last amended the answers; digest and receipt remain those of the submit.';

CREATE TABLE rejected_writes (
    id               bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    attempt_id       uuid,
    event_id         uuid,
    outcome          text        NOT NULL,
    reason           text,
    expected_version bigint,
    row_version      bigint,
    event            jsonb,
    topic            text        NOT NULL,
    partition        int         NOT NULL,
    generation       bigint      NOT NULL DEFAULT 1,
    record_offset    bigint      NOT NULL,
    rejected_at      timestamptz NOT NULL DEFAULT now(),
    erased_at        timestamptz,
    CONSTRAINT rejected_writes_outcome_known CHECK (outcome IN ('stale', 'late')),
    CONSTRAINT rejected_writes_whole_or_erased
        CHECK (erased_at IS NOT NULL OR num_nulls(attempt_id, event_id, event) = 0),
    CONSTRAINT rejected_writes_record UNIQUE (topic, partition, generation, record_offset)
);
CREATE INDEX rejected_writes_attempt ON rejected_writes (attempt_id);
CREATE INDEX rejected_writes_recent ON rejected_writes (rejected_at);

COMMENT ON TABLE rejected_writes IS
    'Saves and submits that came too late or were overtaken, whole, so that nothing is lost.';
COMMENT ON COLUMN rejected_writes.reason IS 'of a late one: overtaken or after_submit';
COMMENT ON COLUMN rejected_writes.event IS 'the whole data of the event; null once erased';
COMMENT ON COLUMN rejected_writes.erased_at IS
    'When maintain_attempt() erased what it said; the row stays, because the ledger counts it.';

CREATE TABLE dead_letters (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic         text        NOT NULL,
    partition     int         NOT NULL,
    generation    bigint      NOT NULL DEFAULT 1,
    record_offset bigint      NOT NULL,
    attempt_id    uuid,
    event_id      uuid,
    record_key    bytea,
    record_value  bytea,
    headers       jsonb       NOT NULL DEFAULT '[]',
    reason        text        NOT NULL,
    detail        text,
    dead_at       timestamptz NOT NULL DEFAULT now(),
    replayed_at   timestamptz,
    discarded_at  timestamptz,
    erased_at     timestamptz,
    CONSTRAINT dead_letters_record UNIQUE (topic, partition, generation, record_offset)
);
CREATE INDEX dead_letters_open ON dead_letters (dead_at)
    WHERE replayed_at IS NULL AND discarded_at IS NULL;
CREATE INDEX dead_letters_attempt ON dead_letters (attempt_id) WHERE attempt_id IS NOT NULL;
CREATE INDEX dead_letters_key ON dead_letters USING hash (record_key);

COMMENT ON TABLE dead_letters IS
    'Records that can never be applied, byte for byte, with a reason. dlq replay sends one again.';
COMMENT ON COLUMN dead_letters.attempt_id IS 'where it could be read, else null';
COMMENT ON COLUMN dead_letters.headers IS '[["name","base64"],…] in the order of the record';
COMMENT ON COLUMN dead_letters.reason IS 'a stable code: json, utf8, version_jump, constraint, …';

CREATE TABLE outcome_settings (
    name       text        PRIMARY KEY,
    value      text        NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE outcome_settings IS
    'Settings that decide outcomes (limits, MAX_VERSION_JUMP): equal for all workers. run --accept-settings changes them.';

CREATE TABLE audit_log (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    happened_at timestamptz NOT NULL DEFAULT now(),
    actor       text        NOT NULL DEFAULT session_user,
    application text                 DEFAULT nullif(current_setting('application_name', true), ''),
    action      text        NOT NULL,
    attempt_id  uuid,
    topic       text,
    partition   int,
    reason      text,
    detail      jsonb
);
CREATE INDEX audit_log_attempt ON audit_log (attempt_id) WHERE attempt_id IS NOT NULL;

COMMENT ON TABLE audit_log IS
    'Who did by hand what the log does not tell: amend, reopen, erase, delete, accept-gap, …';

-- migrate:down

DROP TABLE audit_log;
DROP TABLE outcome_settings;
DROP TABLE dead_letters;
DROP TABLE rejected_writes;
DROP TABLE submissions;
DROP TABLE ingest_progress;
