-- Exams, attempts and their answers: what students, teachers and their programs read.
--
-- The platform reads and writes the view `attempts`; the table behind it may change its layout.

-- migrate:up

CREATE TABLE exams (
    id         uuid PRIMARY KEY,
    title      text,
    opens_at   timestamptz,
    closes_at  timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT exams_open_before_close CHECK (opens_at < closes_at)
);
CREATE INDEX exams_title_search ON exams USING gin (to_tsvector('simple', coalesce(title, '')));

COMMENT ON TABLE exams IS
    'Exams. One that the platform has not described yet is entered, with nothing but its id, by the first attempt.started event that names it.';
COMMENT ON COLUMN exams.title IS
    'Searched with to_tsvector(''simple'', coalesce(title, '''')) @@ websearch_to_tsquery(''simple'', …).';

CREATE TABLE attempt_rows (
    id               uuid PRIMARY KEY,
    exam_id          uuid CONSTRAINT attempt_rows_exam_fkey REFERENCES exams,
    student_id       uuid,
    status           text        NOT NULL DEFAULT 'in_progress',
    version          bigint      NOT NULL DEFAULT 1,
    revision         bigint      NOT NULL DEFAULT 0,
    prior_version    bigint      NOT NULL DEFAULT 0,
    foreign_revision bigint,
    started_at       timestamptz,
    deadline_at      timestamptz,
    submitted_at     timestamptz,
    updated_at       timestamptz NOT NULL DEFAULT now(),
    recent_event_ids uuid[]      NOT NULL DEFAULT '{}',
    auto_save_data   jsonb,
    answers          jsonb       NOT NULL DEFAULT '{}',
    CONSTRAINT attempt_rows_status_known      CHECK (status IN ('in_progress', 'submitted')),
    CONSTRAINT attempt_rows_version_positive  CHECK (version >= 1),
    CONSTRAINT attempt_rows_answers_object    CHECK (jsonb_typeof(answers) = 'object'),
    CONSTRAINT attempt_rows_auto_save_object  CHECK (jsonb_typeof(auto_save_data) = 'object'),
    CONSTRAINT attempt_rows_start_whole       CHECK ((exam_id IS NULL) = (student_id IS NULL)),
    CONSTRAINT attempt_rows_submitted_has_time
        CHECK ((status = 'submitted') = (submitted_at IS NOT NULL)),
    CONSTRAINT attempt_rows_recent_ids_few    CHECK (cardinality(recent_event_ids) <= 16)
) WITH (fillfactor = 75, autovacuum_vacuum_scale_factor = 0.05);

-- Every save rewrites its row. It stays a HOT update as long as no index holds a column that a save
-- changes: never index version, revision, updated_at, answers or recent_event_ids.
CREATE INDEX attempt_rows_exam ON attempt_rows (exam_id, student_id);
CREATE INDEX attempt_rows_student ON attempt_rows (student_id, started_at);
CREATE INDEX attempt_rows_active ON attempt_rows (exam_id) WHERE status = 'in_progress';
CREATE INDEX attempt_rows_without_start ON attempt_rows (id) WHERE exam_id IS NULL;

COMMENT ON TABLE attempt_rows IS
    'The table behind the view attempts. Foreign keys refer to it; programs of the platform use the view.';
COMMENT ON COLUMN attempt_rows.version IS
    'Counts saves and submits: 1 when started, e + 1 after an applied event with expected_version e.';
COMMENT ON COLUMN attempt_rows.revision IS
    'Grows with every change of the row. A writer that sets it (insert: 1; update: revision + 1) takes it upon itself to publish the invalidation, as the worker does; leave it alone and a trigger counts it and notes the change in foreign_changes.';
COMMENT ON COLUMN attempt_rows.prior_version IS
    'The version before the worker''s last write: RETURNING cannot see the old row.';
COMMENT ON COLUMN attempt_rows.foreign_revision IS
    'The revision of the last change that did not come from the log; null if there was none.';
COMMENT ON COLUMN attempt_rows.recent_event_ids IS
    'The last 16 applied saves and submits, oldest first. The submit''s id is kept for ever in submissions.';

-- lz4 halves the price of a rewrite; servers built without it fall back to the default.
DO $$
BEGIN
    ALTER TABLE attempt_rows ALTER answers SET COMPRESSION lz4;
    ALTER TABLE attempt_rows ALTER auto_save_data SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
    RAISE NOTICE 'this server has no lz4: answers are compressed with pglz';
END $$;

CREATE VIEW attempts AS
SELECT id, exam_id, student_id, status, version, revision, answers, auto_save_data,
       started_at, deadline_at, submitted_at, updated_at
FROM attempt_rows;

COMMENT ON VIEW attempts IS
    'Attempts, as the platform reads and writes them. A submitted one is frozen: see maintain_attempt().';
COMMENT ON COLUMN attempts.exam_id IS
    'Null while the attempt''s started event has not come (saves may overtake it).';
COMMENT ON COLUMN attempts.status IS 'in_progress or submitted';
COMMENT ON COLUMN attempts.version IS
    'Counts saves and submits. Writers compare and set: … SET version = version + 1 … WHERE version = $expected.';
COMMENT ON COLUMN attempts.revision IS
    'Grows with every change of the row, whoever makes it. Do not set it: a trigger does.';
COMMENT ON COLUMN attempts.answers IS 'question → answer, the fold of all applied saves and the submit';
COMMENT ON COLUMN attempts.auto_save_data IS 'what the browser keeps with a save; replaced whole';

CREATE TABLE attempt_answers (
    attempt_id  uuid  NOT NULL CONSTRAINT attempt_answers_attempt_fkey
                      REFERENCES attempt_rows ON DELETE CASCADE,
    question_id text  NOT NULL,
    answer      jsonb NOT NULL,
    PRIMARY KEY (attempt_id, question_id)
);
CREATE INDEX attempt_answers_question ON attempt_answers (question_id, attempt_id);

COMMENT ON TABLE attempt_answers IS
    'The answers of submitted attempts, one row per question, written by the submit.';

-- The merge of a save into a document: one function, so that it can be exchanged. The outer one is
-- a plain expression that the planner puts into the statement; a sub-select would prevent that,
-- hence the second one, called only when a key is to be cleared.
CREATE FUNCTION attempt_clear_keys(answers jsonb, patch jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN answers - ARRAY(SELECT key FROM jsonb_each(patch) WHERE value = 'null'::jsonb);

CREATE FUNCTION attempt_merge(answers jsonb, patch jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN jsonb_path_exists(patch, 'strict $.* ? (@ == null)')
            THEN attempt_clear_keys(answers || patch, patch)
            ELSE answers || patch
       END;

COMMENT ON FUNCTION attempt_merge(jsonb, jsonb) IS
    'The answers after a change: each key of the patch replaces that key whole, null clears it.';
COMMENT ON FUNCTION attempt_clear_keys(jsonb, jsonb) IS
    'The answers without the keys that the patch sets to null.';

CREATE FUNCTION attempt_answered(answers jsonb) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (SELECT count(*) FROM jsonb_object_keys(answers));

COMMENT ON FUNCTION attempt_answered(jsonb) IS 'How many questions have an answer: top-level keys.';

CREATE FUNCTION attempt_document(p_attempt_id uuid) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
RETURN (
    SELECT CASE a.status
               WHEN 'submitted' THEN
                   (SELECT coalesce(jsonb_object_agg(q.question_id, q.answer), '{}')
                    FROM attempt_answers q WHERE q.attempt_id = a.id)
               ELSE a.answers
           END
    FROM attempt_rows a
    WHERE a.id = p_attempt_id
);

COMMENT ON FUNCTION attempt_document(uuid) IS
    'The answers as one document: put together from attempt_answers once submitted, equal to attempts.answers; null for an unknown attempt.';

-- migrate:down

DROP FUNCTION attempt_document(uuid);
DROP FUNCTION attempt_answered(jsonb);
DROP FUNCTION attempt_merge(jsonb, jsonb);
DROP FUNCTION attempt_clear_keys(jsonb, jsonb);
DROP TABLE attempt_answers;
DROP VIEW attempts;
DROP TABLE attempt_rows;
DROP TABLE exams;
