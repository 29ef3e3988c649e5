-- The newest changes of an attempt wait as text beside its document: a save that would have merged
-- them into 2 KB of jsonb appends some dozen bytes instead, and the merge is paid once for many.
--
-- This rewrites the table attempt_rows and its indexes under an exclusive lock: nobody reads or
-- writes attempts meanwhile, and for that time the disk holds the table twice. The two views that
-- look at answers are filled anew. Measured: 14 s for each 100,000 attempts of 2 KB.
-- An `attemptd run` of a version that does not know the tail halts with `schema` and writes nothing,
-- because the column that it would merge into is gone. So: stop the workers, migrate, start the new.

-- migrate:up

-- What somebody else has hung on the columns that move would be lost, or would look at half a
-- document.
DO $$
DECLARE
    v_others text;
BEGIN
    SELECT string_agg(DISTINCT pg_describe_object(d.classid, d.objid, 0), ', ') INTO v_others
    FROM pg_depend d
    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    LEFT JOIN pg_constraint c ON d.classid = 'pg_constraint'::regclass AND c.oid = d.objid
    LEFT JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
    LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = 'attempt_rows'::regclass
      AND a.attname IN ('version', 'revision', 'prior_version', 'updated_at', 'recent_event_ids',
                        'auto_save_data', 'answers')
      AND d.classid <> 'pg_attrdef'::regclass
      AND c.contype IS DISTINCT FROM 'n'
      AND coalesce(c.conname, '') NOT IN (
          'attempt_rows_version_positive', 'attempt_rows_answers_object',
          'attempt_rows_auto_save_object', 'attempt_rows_recent_ids_few')
      AND coalesce(t.tgname, '') NOT IN ('attempt_rows_foreign_insert', 'attempt_rows_foreign_update')
      AND (w.ev_class IS NULL OR w.ev_class NOT IN (
          'attempts'::regclass, 'exam_attempt_stats'::regclass, 'question_stats'::regclass))
      AND NOT (d.classid = 'pg_proc'::regclass AND d.objid = 'attempt_document(uuid)'::regprocedure);
    IF v_others IS NOT NULL THEN
        RAISE EXCEPTION '%: in the way, the columns of attempt_rows that they look at move', v_others
            USING errcode = 'dependent_objects_still_exist',
            hint = 'Drop them and make them again afterwards. The document is then attempt_fold(folded_answers, tail).';
    END IF;
END $$;

-- The view keeps its identity, and with it the rights on it and what others have built on it, but
-- looks at none of the columns that move.
CREATE OR REPLACE VIEW attempts AS
SELECT id, exam_id, student_id, status, NULL::bigint AS version, NULL::bigint AS revision,
       NULL::jsonb AS answers, NULL::jsonb AS auto_save_data, started_at, deadline_at, submitted_at,
       NULL::timestamptz AS updated_at
FROM attempt_rows;

-- The merge of the newest changes: in a JSON object with equal keys jsonb keeps the last value, so
-- parsing the tail is the fold. Only a tail that says null anywhere may have keys to clear.
CREATE FUNCTION attempt_fold_clearing(folded jsonb, tail text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT (folded || c.change) - ARRAY(SELECT key FROM jsonb_each(c.change) WHERE value = 'null'::jsonb)
        FROM (SELECT ('{' || right(tail, -1) || '}')::jsonb AS change) AS c);

CREATE FUNCTION attempt_fold(folded jsonb, tail text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN tail = '' THEN folded
            WHEN strpos(tail, 'null') = 0 THEN folded || ('{' || right(tail, -1) || '}')::jsonb
            ELSE attempt_fold_clearing(folded, tail)
       END;

COMMENT ON FUNCTION attempt_fold(jsonb, text) IS
    'The answers of an attempt: its folded answers and, over them, the members of its tail.';
COMMENT ON FUNCTION attempt_fold_clearing(jsonb, text) IS
    'The same for a tail that may clear keys (null).';

-- What changes with every save goes behind what does not: the log of a HOT update leaves out what
-- row and predecessor have in common at their beginning, and that is then the whole document.
DROP TRIGGER attempt_rows_foreign_insert ON attempt_rows;
DROP TRIGGER attempt_rows_foreign_update ON attempt_rows;
ALTER TABLE attempt_rows
    DROP CONSTRAINT attempt_rows_version_positive,
    DROP CONSTRAINT attempt_rows_answers_object,
    DROP CONSTRAINT attempt_rows_auto_save_object,
    DROP CONSTRAINT attempt_rows_recent_ids_few;
ALTER TABLE attempt_rows RENAME answers TO folded_answers;
ALTER TABLE attempt_rows RENAME version TO old_version;
ALTER TABLE attempt_rows RENAME revision TO old_revision;
ALTER TABLE attempt_rows RENAME prior_version TO old_prior_version;
ALTER TABLE attempt_rows RENAME updated_at TO old_updated_at;
ALTER TABLE attempt_rows RENAME recent_event_ids TO old_recent_event_ids;
ALTER TABLE attempt_rows RENAME auto_save_data TO old_auto_save_data;
ALTER TABLE attempt_rows
    ADD version          bigint      NOT NULL DEFAULT 1,
    ADD revision         bigint      NOT NULL DEFAULT 0,
    ADD prior_version    bigint      NOT NULL DEFAULT 0,
    ADD updated_at       timestamptz NOT NULL DEFAULT now(),
    ADD auto_save_data   json,
    ADD recent_event_ids uuid[]      NOT NULL DEFAULT '{}',
    ADD tail             text        NOT NULL DEFAULT '';

-- Rights on single columns.
DO $$
DECLARE
    v_right record;
BEGIN
    FOR v_right IN
        SELECT substr(a.attname, 5) AS name, x.*
        FROM pg_attribute a, aclexplode(a.attacl) AS x
        WHERE a.attrelid = 'attempt_rows'::regclass AND a.attname ~ '^old_' AND NOT a.attisdropped
    LOOP
        EXECUTE format('GRANT %s (%I) ON attempt_rows TO %s%s', v_right.privilege_type, v_right.name,
                       CASE v_right.grantee WHEN 0 THEN 'PUBLIC' ELSE v_right.grantee::regrole::text END,
                       CASE WHEN v_right.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
END $$;

-- One pass over the rows: the new columns are taken from the old ones, which go with it.
ALTER TABLE attempt_rows SET (fillfactor = 50);
ALTER TABLE attempt_rows
    ALTER version          TYPE bigint      USING old_version,
    ALTER revision         TYPE bigint      USING old_revision,
    ALTER prior_version    TYPE bigint      USING old_prior_version,
    ALTER updated_at       TYPE timestamptz USING old_updated_at,
    ALTER auto_save_data   TYPE json        USING old_auto_save_data::json,
    ALTER recent_event_ids TYPE uuid[]      USING old_recent_event_ids,
    DROP old_version, DROP old_revision, DROP old_prior_version, DROP old_updated_at,
    DROP old_recent_event_ids, DROP old_auto_save_data;

-- A short text that every save rewrites is not worth compressing, and never goes out of line.
ALTER TABLE attempt_rows ALTER tail SET STORAGE PLAIN;
-- As in 0001: without lz4 the default will do.
DO $$
BEGIN
    ALTER TABLE attempt_rows ALTER auto_save_data SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
    NULL;
END $$;

-- The document is looked at only where it is written: beside a tail it was checked before.
ALTER TABLE attempt_rows
    ADD CONSTRAINT attempt_rows_version_positive CHECK (version >= 1),
    ADD CONSTRAINT attempt_rows_auto_save_object CHECK (json_typeof(auto_save_data) = 'object'),
    ADD CONSTRAINT attempt_rows_recent_ids_few   CHECK (cardinality(recent_event_ids) <= 16),
    ADD CONSTRAINT attempt_rows_answers_object
        CHECK (tail <> '' OR jsonb_typeof(folded_answers) = 'object'),
    ADD CONSTRAINT attempt_rows_submitted_is_folded CHECK (tail = '' OR status = 'in_progress');

COMMENT ON COLUMN attempt_rows.version IS
    'Counts saves and submits: 1 when started, e + 1 after an applied event with expected_version e.';
COMMENT ON COLUMN attempt_rows.revision IS
    'Grows with every change of the row. A writer that sets it (insert: 1; update: revision + 1) takes it upon itself to publish the invalidation, as the worker does; leave it alone and a trigger counts it and notes the change in foreign_changes.';
COMMENT ON COLUMN attempt_rows.prior_version IS
    'The version before the worker''s last write: RETURNING cannot see the old row.';
COMMENT ON COLUMN attempt_rows.recent_event_ids IS
    'The last 16 applied saves and submits, oldest first. The submit''s id is kept for ever in submissions.';
COMMENT ON COLUMN attempt_rows.auto_save_data IS
    'Kept as it came, as text: every save replaces it, hardly anybody reads it. attempts.auto_save_data is jsonb.';
COMMENT ON COLUMN attempt_rows.folded_answers IS
    'The answers without what still waits in tail. The whole document is attempts.answers, or here attempt_fold(folded_answers, tail).';
COMMENT ON COLUMN attempt_rows.tail IS
    'The newest changes of answers as text, ,"q1":"B","q7":null: JSON members with a comma before each; the last of equal keys counts, null clears one. Folded when it grows beyond some hundred bytes, and by the submit.';

CREATE OR REPLACE VIEW attempts AS
SELECT id, exam_id, student_id, status, version, revision,
       attempt_fold(folded_answers, tail) AS answers, auto_save_data::jsonb AS auto_save_data,
       started_at, deadline_at, submitted_at, updated_at
FROM attempt_rows;

CREATE OR REPLACE FUNCTION attempt_document(p_attempt_id uuid) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
RETURN (
    SELECT CASE a.status
               WHEN 'submitted' THEN
                   (SELECT coalesce(jsonb_object_agg(q.question_id, q.answer), '{}')
                    FROM attempt_answers q WHERE q.attempt_id = a.id)
               ELSE attempt_fold(a.folded_answers, a.tail)
           END
    FROM attempt_rows a
    WHERE a.id = p_attempt_id
);

CREATE FUNCTION attempt_copy_grants(p_from regclass, p_to regclass) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_right record;
BEGIN
    FOR v_right IN
        SELECT x.*
        FROM pg_class c, aclexplode(c.relacl) AS x
        WHERE c.oid = p_from AND x.grantee <> c.relowner
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s%s', v_right.privilege_type, p_to,
                       CASE v_right.grantee WHEN 0 THEN 'PUBLIC' ELSE v_right.grantee::regrole::text END,
                       CASE WHEN v_right.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
END $$;

ALTER MATERIALIZED VIEW exam_attempt_stats RENAME TO exam_attempt_stats_before;
ALTER MATERIALIZED VIEW question_stats RENAME TO question_stats_before;
DROP INDEX exam_attempt_stats_key, question_stats_key;

CREATE MATERIALIZED VIEW exam_attempt_stats AS
SELECT exam_id,
       count(*)                                                          AS attempts,
       count(*) FILTER (WHERE status = 'in_progress')                    AS in_progress,
       count(*) FILTER (WHERE status = 'submitted')                      AS submitted,
       count(*) FILTER (WHERE submitted_at > deadline_at)                AS after_deadline,
       avg(attempt_answered(attempt_fold(folded_answers, tail)))              AS answered_avg,
       min(started_at)                                                   AS first_started_at,
       max(submitted_at)                                                 AS last_submitted_at,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY submitted_at - started_at) AS duration_p50,
       percentile_cont(0.9) WITHIN GROUP (ORDER BY submitted_at - started_at) AS duration_p90,
       now()                                                             AS as_of
FROM attempt_rows r
WHERE exam_id IS NOT NULL
GROUP BY exam_id;
CREATE UNIQUE INDEX exam_attempt_stats_key ON exam_attempt_stats (exam_id);

CREATE MATERIALIZED VIEW question_stats AS
SELECT a.exam_id,
       q.question_id,
       count(*)                                         AS answered,
       count(*) FILTER (WHERE a.status = 'submitted')   AS submitted_answered,
       now()                                            AS as_of
FROM attempt_rows a
CROSS JOIN LATERAL jsonb_object_keys(attempt_fold(a.folded_answers, a.tail)) AS q (question_id)
WHERE a.exam_id IS NOT NULL
GROUP BY a.exam_id, q.question_id;
CREATE UNIQUE INDEX question_stats_key ON question_stats (exam_id, question_id);

COMMENT ON MATERIALIZED VIEW exam_attempt_stats IS
    'One row per exam with attempts. answered_avg: answered questions, over all attempts; durations: submitted ones.';
COMMENT ON MATERIALIZED VIEW question_stats IS
    'How many attempts of an exam have an answer to a question, and how many of them are submitted.';

SELECT attempt_copy_grants('exam_attempt_stats_before', 'exam_attempt_stats'),
       attempt_copy_grants('question_stats_before', 'question_stats');
DROP MATERIALIZED VIEW exam_attempt_stats_before, question_stats_before;
DROP FUNCTION attempt_copy_grants(regclass, regclass);

-- The guard of 0004 and what 0007 made of its other trigger, on the columns as they are now.
CREATE OR REPLACE FUNCTION attempt_rows_guard() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_schema text := quote_ident(tg_table_schema);
    v_open   boolean;
BEGIN
    IF tg_op = 'UPDATE'
        AND (new.id, new.status, new.version, new.submitted_at) IS NOT DISTINCT FROM
            (old.id, old.status, old.version, old.submitted_at)
        -- A submitted row has no tail.
        AND new.tail = old.tail AND new.folded_answers::text = old.folded_answers::text
        AND new.auto_save_data::text IS NOT DISTINCT FROM old.auto_save_data::text
        -- The start of an attempt may come after its submit.
        AND (old.exam_id IS NULL
             OR (new.exam_id, new.student_id, new.started_at, new.deadline_at) IS NOT DISTINCT FROM
                (old.exam_id, old.student_id, old.started_at, old.deadline_at))
    THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT %s.attempt_guard_open($1, $2)', v_schema) INTO v_open USING tg_relid, old.id;
    IF v_open IS NOT TRUE THEN
        EXECUTE format('SELECT %s.attempt_guard_refuse($1, $2)', v_schema) USING lower(tg_op), old.id;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION attempt_rows_foreign() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
AS $$
DECLARE
    v_inside     constant text[] :=
        '{id, revision, prior_version, foreign_revision, updated_at, recent_event_ids, folded_answers, tail}';
    v_maintained boolean := current_setting('attemptd.maintained_attempt', true)
                            IS NOT DISTINCT FROM CASE WHEN tg_op = 'DELETE' THEN old.id ELSE new.id END::text;
BEGIN
    IF NOT v_maintained THEN
        INSERT INTO audit_log (action, attempt_id, detail)
        SELECT lower(tg_op), coalesce(new.id, old.id), coalesce(jsonb_object_agg(d.kind, d.members), '{}')
        FROM (SELECT v.kind, (SELECT jsonb_object_agg(key, value) FROM jsonb_each(v.a)
                              WHERE v.b -> key IS DISTINCT FROM value AND (value <> 'null' OR v.whole)) AS members
              FROM (SELECT coalesce(to_jsonb(old) - v_inside, '{}') AS o,
                           coalesce(attempt_fold(old.folded_answers, old.tail), '{}') AS oa,
                           coalesce(to_jsonb(new) - v_inside, '{}') AS n,
                           coalesce(attempt_fold(new.folded_answers, new.tail), '{}') AS na) AS j
              CROSS JOIN LATERAL (VALUES ('old', j.o, j.n, false), ('new', j.n, j.o, false),
                                         ('old_answers', j.oa, j.na, true), ('new_answers', j.na, j.oa, true))
                  AS v (kind, a, b, whole)) AS d
        WHERE d.members IS NOT NULL
        HAVING count(*) > 0 OR tg_op <> 'UPDATE';
    END IF;
    IF tg_op = 'DELETE' THEN
        INSERT INTO foreign_changes (attempt_id, exam_id, version, revision)
        VALUES (old.id, old.exam_id, old.version, old.revision + 1);
        RETURN NULL;
    END IF;

    IF new.status = 'submitted' AND (tg_op = 'INSERT' OR old.status <> 'submitted') THEN
        INSERT INTO attempt_answers (attempt_id, question_id, answer)
        SELECT new.id, key, value FROM jsonb_each(new.folded_answers)
        ON CONFLICT DO NOTHING;
        -- Without digest: a worker fills that in.
        INSERT INTO submissions (attempt_id, version, submitted_at, after_deadline)
        VALUES (new.id, new.version, new.submitted_at,
                CASE WHEN new.exam_id IS NOT NULL
                     THEN coalesce(new.submitted_at > new.deadline_at, false) END)
        ON CONFLICT DO NOTHING;
    END IF;
    UPDATE attempt_rows
    SET revision = revision + 1, foreign_revision = revision + 1, updated_at = now()
    WHERE id = new.id;
    INSERT INTO foreign_changes (attempt_id, exam_id, version, revision)
    VALUES (new.id, new.exam_id, new.version, new.revision + 1);
    RETURN NULL;
END $$;

CREATE TRIGGER attempt_rows_foreign_insert AFTER INSERT ON attempt_rows
    FOR EACH ROW WHEN (new.revision = 0) EXECUTE FUNCTION attempt_rows_foreign();
CREATE TRIGGER attempt_rows_foreign_update AFTER UPDATE ON attempt_rows
    FOR EACH ROW WHEN (new.revision = old.revision) EXECUTE FUNCTION attempt_rows_foreign();
ALTER TABLE attempt_rows ENABLE ALWAYS TRIGGER attempt_rows_foreign_insert;
ALTER TABLE attempt_rows ENABLE ALWAYS TRIGGER attempt_rows_foreign_update;

CREATE OR REPLACE FUNCTION maintain_attempt(p_attempt_id uuid, p_action text, p_reason text,
                                 p_answers jsonb DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
AS $$
DECLARE
    v_row    attempt_rows;
    v_detail jsonb;
BEGIN
    IF coalesce(trim(p_reason), '') = '' THEN
        RAISE EXCEPTION 'maintain_attempt: a reason is needed' USING errcode = 'invalid_parameter_value',
            hint = 'It is written to audit_log.';
    END IF;
    IF p_action IS NULL OR p_action NOT IN ('amend', 'reopen', 'erase') THEN
        RAISE EXCEPTION 'maintain_attempt: unknown action %', coalesce(quote_literal(p_action), 'NULL')
            USING errcode = 'invalid_parameter_value', hint = 'Known are amend, reopen and erase.';
    END IF;
    IF (p_action = 'amend') <> coalesce(jsonb_typeof(p_answers) = 'object', false)
       OR (p_action <> 'amend' AND p_answers IS NOT NULL) THEN
        RAISE EXCEPTION 'maintain_attempt: amend takes a JSON object of answers, the other actions none'
            USING errcode = 'invalid_parameter_value';
    END IF;
    SELECT * INTO v_row FROM attempt_rows WHERE id = p_attempt_id FOR UPDATE;
    IF NOT FOUND AND p_action <> 'erase' THEN
        RAISE EXCEPTION 'maintain_attempt: there is no attempt %', p_attempt_id
            USING errcode = 'no_data_found';
    END IF;
    IF p_action <> 'erase' AND v_row.status <> 'submitted' THEN
        RAISE EXCEPTION 'maintain_attempt: attempt % is in progress, there is nothing to %', p_attempt_id, p_action
            USING errcode = 'object_not_in_prerequisite_state',
            hint = 'An attempt in progress is changed by saves or by an UPDATE of attempts.';
    END IF;

    PERFORM set_config('attemptd.maintained_attempt', p_attempt_id::text, true);
    CASE p_action
        WHEN 'amend' THEN
            UPDATE attempt_rows SET folded_answers = attempt_merge(folded_answers, p_answers)
            WHERE id = p_attempt_id;
            DELETE FROM attempt_answers WHERE attempt_id = p_attempt_id;
            INSERT INTO attempt_answers (attempt_id, question_id, answer)
            SELECT a.id, q.key, q.value FROM attempt_rows a, jsonb_each(a.folded_answers) q
            WHERE a.id = p_attempt_id;
            UPDATE submissions SET amended_at = now() WHERE attempt_id = p_attempt_id;
            v_detail := jsonb_build_object('before', v_row.folded_answers, 'change', p_answers);
        WHEN 'reopen' THEN
            UPDATE attempt_rows SET status = 'in_progress', submitted_at = NULL WHERE id = p_attempt_id;
            DELETE FROM attempt_answers WHERE attempt_id = p_attempt_id;
            WITH gone AS (DELETE FROM submissions WHERE attempt_id = p_attempt_id RETURNING *)
            SELECT to_jsonb(gone) INTO v_detail FROM gone;
        WHEN 'erase' THEN
            v_detail := erase_attempt(p_attempt_id);
    END CASE;
    PERFORM set_config('attemptd.maintained_attempt', '', true);

    INSERT INTO audit_log (action, attempt_id, reason, detail)
    VALUES (p_action, p_attempt_id, p_reason, v_detail);
    RETURN v_row.revision + 1;
END $$;

-- Writing through the view. DELETE needs no help; INSERT and UPDATE do, because answers is computed.
--
-- An UPDATE finds its rows in a snapshot; whoever was faster is seen only here, once the row is
-- locked. What the caller did not change stays as it now is. What the caller compared (version) or
-- made from what it had read (answers) does not apply to another row.
ALTER VIEW attempts ALTER status SET DEFAULT 'in_progress';
ALTER VIEW attempts ALTER version SET DEFAULT 1;
ALTER VIEW attempts ALTER revision SET DEFAULT 0;
ALTER VIEW attempts ALTER answers SET DEFAULT '{}';
ALTER VIEW attempts ALTER updated_at SET DEFAULT now();

CREATE FUNCTION attempts_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
AS $$
BEGIN
    INSERT INTO attempt_rows (id, exam_id, student_id, status, version, revision, folded_answers,
                              auto_save_data, started_at, deadline_at, submitted_at, updated_at)
    VALUES (new.id, new.exam_id, new.student_id, new.status, new.version, new.revision, new.answers,
            new.auto_save_data, new.started_at, new.deadline_at, new.submitted_at, new.updated_at);
    SELECT * INTO new FROM attempts a WHERE a.id = new.id;
    RETURN new;
END $$;

CREATE FUNCTION attempts_update() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
AS $$
DECLARE
    v_now        attempt_rows;
    v_answers    boolean := new.answers::text IS DISTINCT FROM old.answers::text;
    v_data       boolean := new.auto_save_data::text IS DISTINCT FROM old.auto_save_data::text;
    v_maintained text := coalesce(current_setting('attemptd.maintained_attempt', true), '');
BEGIN
    -- The setting opens the guard to the owner, as whom this acts: it must not through here.
    PERFORM set_config('attemptd.maintained_attempt', '', true) WHERE v_maintained <> '';
    SELECT * INTO v_now FROM attempt_rows r WHERE r.id = old.id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF (v_now.revision, v_now.version, v_now.updated_at)
        IS DISTINCT FROM (old.revision, old.version, old.updated_at) THEN
        IF new.version IS DISTINCT FROM old.version OR v_now.status <> old.status THEN
            RETURN NULL;
        END IF;
        IF v_answers OR v_data
            OR (new.status, new.submitted_at) IS DISTINCT FROM (old.status, old.submitted_at) THEN
            RAISE EXCEPTION 'attempt % was changed by somebody else while this UPDATE was at work', old.id
                USING errcode = 'serialization_failure',
                hint = 'Nothing was written: run the transaction again. Or compare and set: UPDATE attempts SET …, version = version + 1 WHERE id = … AND version = … says UPDATE 0 instead.';
        END IF;
        new.version := v_now.version;
        new.revision := v_now.revision + (new.revision - old.revision);
        IF new.exam_id IS NOT DISTINCT FROM old.exam_id THEN
            new.exam_id := v_now.exam_id;
        END IF;
        IF new.student_id IS NOT DISTINCT FROM old.student_id THEN
            new.student_id := v_now.student_id;
        END IF;
        IF new.started_at IS NOT DISTINCT FROM old.started_at THEN
            new.started_at := v_now.started_at;
        END IF;
        IF new.deadline_at IS NOT DISTINCT FROM old.deadline_at THEN
            new.deadline_at := v_now.deadline_at;
        END IF;
        IF new.updated_at IS NOT DISTINCT FROM old.updated_at THEN
            new.updated_at := v_now.updated_at;
        END IF;
    END IF;
    UPDATE attempt_rows r
    SET id = new.id, exam_id = new.exam_id, student_id = new.student_id, status = new.status,
        version = new.version, revision = new.revision, started_at = new.started_at,
        deadline_at = new.deadline_at, submitted_at = new.submitted_at, updated_at = new.updated_at,
        folded_answers = CASE WHEN v_answers THEN new.answers
                              WHEN new.status = 'submitted' THEN attempt_fold(r.folded_answers, r.tail)
                              ELSE r.folded_answers END,
        tail = CASE WHEN v_answers OR new.status = 'submitted' THEN '' ELSE r.tail END,
        auto_save_data = CASE WHEN v_data THEN new.auto_save_data::json ELSE r.auto_save_data END
    WHERE r.id = old.id;
    PERFORM set_config('attemptd.maintained_attempt', v_maintained, true) WHERE v_maintained <> '';
    SELECT * INTO new FROM attempts a WHERE a.id = new.id;
    RETURN new;
END $$;

CREATE TRIGGER attempts_insert INSTEAD OF INSERT ON attempts
    FOR EACH ROW EXECUTE FUNCTION attempts_insert();
CREATE TRIGGER attempts_update INSTEAD OF UPDATE ON attempts
    FOR EACH ROW EXECUTE FUNCTION attempts_update();

COMMENT ON VIEW attempts IS
    'Attempts, as the platform reads and writes them: SELECT, INSERT, UPDATE, DELETE, but no ON CONFLICT. A submitted one is frozen: see maintain_attempt().';

-- A definer's function must not look where its caller says.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION attempt_rows_foreign() SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION maintain_attempt(uuid, text, text, jsonb) SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION attempts_insert() SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION attempts_update() SET search_path = %I, pg_temp', current_schema());
END $$;
-- migrate:down

-- All tails are folded. The table is rewritten as above.
DROP TRIGGER attempts_insert ON attempts;
DROP TRIGGER attempts_update ON attempts;
DROP FUNCTION attempts_insert();
DROP FUNCTION attempts_update();
ALTER VIEW attempts ALTER status DROP DEFAULT;
ALTER VIEW attempts ALTER version DROP DEFAULT;
ALTER VIEW attempts ALTER revision DROP DEFAULT;
ALTER VIEW attempts ALTER answers DROP DEFAULT;
ALTER VIEW attempts ALTER updated_at DROP DEFAULT;

CREATE OR REPLACE VIEW attempts AS
SELECT id, exam_id, student_id, status, NULL::bigint AS version, NULL::bigint AS revision,
       NULL::jsonb AS answers, NULL::jsonb AS auto_save_data, started_at, deadline_at, submitted_at,
       NULL::timestamptz AS updated_at
FROM attempt_rows;

CREATE OR REPLACE FUNCTION attempt_document(p_attempt_id uuid) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
RETURN (
    SELECT CASE a.status
               WHEN 'submitted' THEN
                   (SELECT coalesce(jsonb_object_agg(q.question_id, q.answer), '{}')
                    FROM attempt_answers q WHERE q.attempt_id = a.id)
               ELSE NULL::jsonb
           END
    FROM attempt_rows a
    WHERE a.id = p_attempt_id
);

-- Views without a column keep the rights on the views of the answers in the meantime.
CREATE FUNCTION attempt_copy_grants(p_from regclass, p_to regclass) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_right record;
BEGIN
    FOR v_right IN
        SELECT x.*
        FROM pg_class c, aclexplode(c.relacl) AS x
        WHERE c.oid = p_from AND x.grantee <> c.relowner
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s%s', v_right.privilege_type, p_to,
                       CASE v_right.grantee WHEN 0 THEN 'PUBLIC' ELSE v_right.grantee::regrole::text END,
                       CASE WHEN v_right.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
END $$;

CREATE VIEW exam_attempt_stats_rights AS SELECT;
CREATE VIEW question_stats_rights AS SELECT;
SELECT attempt_copy_grants('exam_attempt_stats', 'exam_attempt_stats_rights'),
       attempt_copy_grants('question_stats', 'question_stats_rights');
DROP MATERIALIZED VIEW exam_attempt_stats, question_stats;

ALTER TABLE attempt_rows
    DROP CONSTRAINT attempt_rows_answers_object,
    DROP CONSTRAINT attempt_rows_auto_save_object,
    DROP CONSTRAINT attempt_rows_submitted_is_folded;
ALTER TABLE attempt_rows ADD answers jsonb NOT NULL DEFAULT '{}';
ALTER TABLE attempt_rows SET (fillfactor = 75);
ALTER TABLE attempt_rows
    ALTER answers TYPE jsonb USING attempt_fold(folded_answers, tail),
    ALTER auto_save_data TYPE jsonb USING auto_save_data::jsonb,
    DROP folded_answers, DROP tail;
-- As in 0001: without lz4 the default will do.
DO $$
BEGIN
    ALTER TABLE attempt_rows ALTER answers SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
    NULL;
END $$;
-- As in 0001: without lz4 the default will do.
DO $$
BEGIN
    ALTER TABLE attempt_rows ALTER auto_save_data SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
    NULL;
END $$;
ALTER TABLE attempt_rows
    ADD CONSTRAINT attempt_rows_answers_object   CHECK (jsonb_typeof(answers) = 'object'),
    ADD CONSTRAINT attempt_rows_auto_save_object CHECK (jsonb_typeof(auto_save_data) = 'object');

CREATE OR REPLACE VIEW attempts AS
SELECT id, exam_id, student_id, status, version, revision, answers, auto_save_data,
       started_at, deadline_at, submitted_at, updated_at
FROM attempt_rows;
COMMENT ON VIEW attempts IS
    'Attempts, as the platform reads and writes them. A submitted one is frozen: see maintain_attempt().';

CREATE OR REPLACE FUNCTION attempt_document(p_attempt_id uuid) RETURNS jsonb
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

DROP FUNCTION attempt_fold(jsonb, text);
DROP FUNCTION attempt_fold_clearing(jsonb, text);

CREATE MATERIALIZED VIEW exam_attempt_stats AS
SELECT exam_id,
       count(*)                                                          AS attempts,
       count(*) FILTER (WHERE status = 'in_progress')                    AS in_progress,
       count(*) FILTER (WHERE status = 'submitted')                      AS submitted,
       count(*) FILTER (WHERE submitted_at > deadline_at)                AS after_deadline,
       avg(attempt_answered(answers))                                    AS answered_avg,
       min(started_at)                                                   AS first_started_at,
       max(submitted_at)                                                 AS last_submitted_at,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY submitted_at - started_at) AS duration_p50,
       percentile_cont(0.9) WITHIN GROUP (ORDER BY submitted_at - started_at) AS duration_p90,
       now()                                                             AS as_of
FROM attempt_rows
WHERE exam_id IS NOT NULL
GROUP BY exam_id;
CREATE UNIQUE INDEX exam_attempt_stats_key ON exam_attempt_stats (exam_id);

CREATE MATERIALIZED VIEW question_stats AS
SELECT a.exam_id,
       q.question_id,
       count(*)                                         AS answered,
       count(*) FILTER (WHERE a.status = 'submitted')   AS submitted_answered,
       now()                                            AS as_of
FROM attempt_rows a
CROSS JOIN LATERAL jsonb_object_keys(a.answers) AS q (question_id)
WHERE a.exam_id IS NOT NULL
GROUP BY a.exam_id, q.question_id;
CREATE UNIQUE INDEX question_stats_key ON question_stats (exam_id, question_id);

COMMENT ON MATERIALIZED VIEW exam_attempt_stats IS
    'One row per exam with attempts. answered_avg: answered questions, over all attempts; durations: submitted ones.';
COMMENT ON MATERIALIZED VIEW question_stats IS
    'How many attempts of an exam have an answer to a question, and how many of them are submitted.';

SELECT attempt_copy_grants('exam_attempt_stats_rights', 'exam_attempt_stats'),
       attempt_copy_grants('question_stats_rights', 'question_stats');
DROP VIEW exam_attempt_stats_rights, question_stats_rights;
DROP FUNCTION attempt_copy_grants(regclass, regclass);

CREATE OR REPLACE FUNCTION attempt_rows_guard() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_schema text := quote_ident(tg_table_schema);
    v_open   boolean;
BEGIN
    IF tg_op = 'UPDATE'
        AND (new.id, new.status, new.version, new.submitted_at) IS NOT DISTINCT FROM
            (old.id, old.status, old.version, old.submitted_at)
        AND new.answers::text = old.answers::text
        AND new.auto_save_data::text IS NOT DISTINCT FROM old.auto_save_data::text
        -- The start of an attempt may come after its submit.
        AND (old.exam_id IS NULL
             OR (new.exam_id, new.student_id, new.started_at, new.deadline_at) IS NOT DISTINCT FROM
                (old.exam_id, old.student_id, old.started_at, old.deadline_at))
    THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT %s.attempt_guard_open($1, $2)', v_schema) INTO v_open USING tg_relid, old.id;
    IF v_open IS NOT TRUE THEN
        EXECUTE format('SELECT %s.attempt_guard_refuse($1, $2)', v_schema) USING lower(tg_op), old.id;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION attempt_rows_foreign() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
AS $$
DECLARE
    v_inside     constant text[] :=
        '{id, revision, prior_version, foreign_revision, updated_at, recent_event_ids, answers}';
    v_maintained boolean := current_setting('attemptd.maintained_attempt', true)
                            IS NOT DISTINCT FROM CASE WHEN tg_op = 'DELETE' THEN old.id ELSE new.id END::text;
BEGIN
    IF NOT v_maintained THEN
        INSERT INTO audit_log (action, attempt_id, detail)
        SELECT lower(tg_op), coalesce(new.id, old.id), coalesce(jsonb_object_agg(d.kind, d.members), '{}')
        FROM (SELECT v.kind, (SELECT jsonb_object_agg(key, value) FROM jsonb_each(v.a)
                              WHERE v.b -> key IS DISTINCT FROM value AND (value <> 'null' OR v.whole)) AS members
              FROM (SELECT coalesce(to_jsonb(old) - v_inside, '{}') AS o, coalesce(old.answers, '{}') AS oa,
                           coalesce(to_jsonb(new) - v_inside, '{}') AS n, coalesce(new.answers, '{}') AS na) AS j
              CROSS JOIN LATERAL (VALUES ('old', j.o, j.n, false), ('new', j.n, j.o, false),
                                         ('old_answers', j.oa, j.na, true), ('new_answers', j.na, j.oa, true))
                  AS v (kind, a, b, whole)) AS d
        WHERE d.members IS NOT NULL
        HAVING count(*) > 0 OR tg_op <> 'UPDATE';
    END IF;
    IF tg_op = 'DELETE' THEN
        INSERT INTO foreign_changes (attempt_id, exam_id, version, revision)
        VALUES (old.id, old.exam_id, old.version, old.revision + 1);
        RETURN NULL;
    END IF;

    IF new.status = 'submitted' AND (tg_op = 'INSERT' OR old.status <> 'submitted') THEN
        INSERT INTO attempt_answers (attempt_id, question_id, answer)
        SELECT new.id, key, value FROM jsonb_each(new.answers)
        ON CONFLICT DO NOTHING;
        -- Without digest: a worker fills that in.
        INSERT INTO submissions (attempt_id, version, submitted_at, after_deadline)
        VALUES (new.id, new.version, new.submitted_at,
                CASE WHEN new.exam_id IS NOT NULL
                     THEN coalesce(new.submitted_at > new.deadline_at, false) END)
        ON CONFLICT DO NOTHING;
    END IF;
    UPDATE attempt_rows
    SET revision = revision + 1, foreign_revision = revision + 1, updated_at = now()
    WHERE id = new.id;
    INSERT INTO foreign_changes (attempt_id, exam_id, version, revision)
    VALUES (new.id, new.exam_id, new.version, new.revision + 1);
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION maintain_attempt(p_attempt_id uuid, p_action text, p_reason text,
                                 p_answers jsonb DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
AS $$
DECLARE
    v_row    attempt_rows;
    v_detail jsonb;
BEGIN
    IF coalesce(trim(p_reason), '') = '' THEN
        RAISE EXCEPTION 'maintain_attempt: a reason is needed' USING errcode = 'invalid_parameter_value',
            hint = 'It is written to audit_log.';
    END IF;
    IF p_action IS NULL OR p_action NOT IN ('amend', 'reopen', 'erase') THEN
        RAISE EXCEPTION 'maintain_attempt: unknown action %', coalesce(quote_literal(p_action), 'NULL')
            USING errcode = 'invalid_parameter_value', hint = 'Known are amend, reopen and erase.';
    END IF;
    IF (p_action = 'amend') <> coalesce(jsonb_typeof(p_answers) = 'object', false)
       OR (p_action <> 'amend' AND p_answers IS NOT NULL) THEN
        RAISE EXCEPTION 'maintain_attempt: amend takes a JSON object of answers, the other actions none'
            USING errcode = 'invalid_parameter_value';
    END IF;
    SELECT * INTO v_row FROM attempt_rows WHERE id = p_attempt_id FOR UPDATE;
    IF NOT FOUND AND p_action <> 'erase' THEN
        RAISE EXCEPTION 'maintain_attempt: there is no attempt %', p_attempt_id
            USING errcode = 'no_data_found';
    END IF;
    IF p_action <> 'erase' AND v_row.status <> 'submitted' THEN
        RAISE EXCEPTION 'maintain_attempt: attempt % is in progress, there is nothing to %', p_attempt_id, p_action
            USING errcode = 'object_not_in_prerequisite_state',
            hint = 'An attempt in progress is changed by saves or by an UPDATE of attempts.';
    END IF;

    PERFORM set_config('attemptd.maintained_attempt', p_attempt_id::text, true);
    CASE p_action
        WHEN 'amend' THEN
            UPDATE attempt_rows SET answers = attempt_merge(answers, p_answers) WHERE id = p_attempt_id;
            DELETE FROM attempt_answers WHERE attempt_id = p_attempt_id;
            INSERT INTO attempt_answers (attempt_id, question_id, answer)
            SELECT a.id, q.key, q.value FROM attempt_rows a, jsonb_each(a.answers) q
            WHERE a.id = p_attempt_id;
            UPDATE submissions SET amended_at = now() WHERE attempt_id = p_attempt_id;
            v_detail := jsonb_build_object('before', v_row.answers, 'change', p_answers);
        WHEN 'reopen' THEN
            UPDATE attempt_rows SET status = 'in_progress', submitted_at = NULL WHERE id = p_attempt_id;
            DELETE FROM attempt_answers WHERE attempt_id = p_attempt_id;
            WITH gone AS (DELETE FROM submissions WHERE attempt_id = p_attempt_id RETURNING *)
            SELECT to_jsonb(gone) INTO v_detail FROM gone;
        WHEN 'erase' THEN
            v_detail := erase_attempt(p_attempt_id);
    END CASE;
    PERFORM set_config('attemptd.maintained_attempt', '', true);

    INSERT INTO audit_log (action, attempt_id, reason, detail)
    VALUES (p_action, p_attempt_id, p_reason, v_detail);
    RETURN v_row.revision + 1;
END $$;

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION attempt_rows_foreign() SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION maintain_attempt(uuid, text, text, jsonb) SET search_path = %I, pg_temp', current_schema());
END $$;
