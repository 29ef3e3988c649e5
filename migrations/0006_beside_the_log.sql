-- Activity that functions store beside the log: without a trace of it, views that count activity
-- would be taken for fresh. (Attempts have foreign_changes; activity alone invalidates no cache.)

-- migrate:up

CREATE TABLE foreign_activity (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stored    bigint      NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE foreign_activity IS
    'One row for each call that stored activity beside the log. A worker counts the rows in foreign_progress.taken, which makes the views stale, and deletes them.';

-- migrate:down

DROP TABLE foreign_activity;
