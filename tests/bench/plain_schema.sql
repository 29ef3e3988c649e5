-- The tables of the two that are compared with attemptd: the plain jsonb merge, and the naive
-- worker. What is known to help is there: lz4, room for HOT updates, no index on what changes.
CREATE TABLE plain_attempts (
    id             uuid PRIMARY KEY,
    exam_id        uuid NOT NULL,
    student_id     uuid NOT NULL,
    status         text NOT NULL DEFAULT 'in_progress',
    version        bigint NOT NULL DEFAULT 1,
    updated_at     timestamptz NOT NULL DEFAULT now(),
    submitted_at   timestamptz,
    auto_save_data jsonb COMPRESSION lz4,
    answers        jsonb COMPRESSION lz4 NOT NULL DEFAULT '{}'
) WITH (fillfactor = 75);
CREATE INDEX ON plain_attempts (exam_id);

-- The naive worker's memory of what it has done.
CREATE TABLE plain_events (event_id uuid PRIMARY KEY);

CREATE TABLE plain_activity (
    event_id    uuid PRIMARY KEY,
    attempt_id  uuid NOT NULL,
    event_type  text NOT NULL,
    payload     jsonb,
    occurred_at timestamptz NOT NULL
);
