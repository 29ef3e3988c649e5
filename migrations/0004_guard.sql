-- A submitted attempt is frozen, and no change of an attempt goes unnoticed.
--
-- Both triggers have a WHEN that leaves the worker's own writes alone: it never touches a submitted
-- attempt (but for a start that comes late) and always raises the revision. Both are AFTER triggers,
-- because a BEFORE trigger would lock every row once more. Both fire ALWAYS, so that
-- session_replication_role = replica is no way around them. And they name their search_path: in the
-- caller's, somebody could have put an operator = of his own before PostgreSQL's.

-- migrate:up

CREATE FUNCTION attempt_guard_open(p_table oid, p_attempt_id uuid) RETURNS boolean
    LANGUAGE sql STABLE
RETURN current_setting('attemptd.maintained_attempt', true) = p_attempt_id::text
       AND (SELECT relowner FROM pg_class WHERE oid = p_table)
           = (SELECT oid FROM pg_roles WHERE rolname = current_user);

COMMENT ON FUNCTION attempt_guard_open(oid, uuid) IS
    'Whether maintain_attempt() is at work on this attempt. Both halves count: the setting, which anybody may set, and being the owner, which nobody else is outside that function.';

CREATE FUNCTION attempt_guard_refuse(p_what text, p_attempt_id uuid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING
        errcode = 'restrict_violation',
        message = format('attempt %s is submitted: %s is refused', p_attempt_id, p_what),
        hint = 'A submitted attempt is frozen. maintain_attempt(id, ''amend'' | ''reopen'' | ''erase'', reason) is the only door; it is audited.';
END $$;

CREATE FUNCTION attempt_rows_guard() RETURNS trigger
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

CREATE FUNCTION attempt_answers_guard() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_schema text := quote_ident(tg_table_schema);
    v_open   boolean;
BEGIN
    EXECUTE format('SELECT %1$s.attempt_guard_open($1, $2)', v_schema)
        INTO v_open USING tg_relid, old.attempt_id;
    IF v_open IS NOT TRUE THEN
        EXECUTE format('SELECT %s.attempt_guard_refuse($1, $2)', v_schema)
            USING lower(tg_op) || ' of its answers', old.attempt_id;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION attempts_refuse_truncate() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING
        errcode = 'restrict_violation',
        message = format('TRUNCATE of %I is refused: submitted attempts are frozen', tg_table_name),
        hint = 'DELETE attempts in progress row by row; for submitted ones use maintain_attempt(id, ''erase'', reason).';
END $$;

CREATE TRIGGER attempt_rows_guard AFTER UPDATE OR DELETE ON attempt_rows
    FOR EACH ROW WHEN (old.status = 'submitted') EXECUTE FUNCTION attempt_rows_guard();
CREATE TRIGGER attempt_rows_guard_truncate BEFORE TRUNCATE ON attempt_rows
    FOR EACH STATEMENT EXECUTE FUNCTION attempts_refuse_truncate();
CREATE TRIGGER attempt_answers_guard AFTER UPDATE OR DELETE ON attempt_answers
    FOR EACH ROW EXECUTE FUNCTION attempt_answers_guard();
CREATE TRIGGER attempt_answers_guard_truncate BEFORE TRUNCATE ON attempt_answers
    FOR EACH STATEMENT EXECUTE FUNCTION attempts_refuse_truncate();
ALTER TABLE attempt_rows ENABLE ALWAYS TRIGGER attempt_rows_guard;
ALTER TABLE attempt_rows ENABLE ALWAYS TRIGGER attempt_rows_guard_truncate;
ALTER TABLE attempt_answers ENABLE ALWAYS TRIGGER attempt_answers_guard;
ALTER TABLE attempt_answers ENABLE ALWAYS TRIGGER attempt_answers_guard_truncate;

-- Changes that did not come from the log.

CREATE TABLE foreign_changes (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    attempt_id uuid        NOT NULL,
    exam_id    uuid,
    version    bigint      NOT NULL,
    revision   bigint      NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE foreign_changes IS
    'Changes of attempts that did not come from the log, written in their own transaction. A worker publishes their invalidations, then deletes them.';

CREATE TABLE foreign_progress (
    only_row boolean PRIMARY KEY DEFAULT true CONSTRAINT foreign_progress_one_row CHECK (only_row),
    taken    bigint  NOT NULL DEFAULT 0
);
INSERT INTO foreign_progress DEFAULT VALUES;

COMMENT ON TABLE foreign_progress IS
    'How many foreign changes were ever taken: with the offsets of the log it says whether a view is stale.';

-- The revision is raised by a second update of the row, which only foreign writers pay for.
CREATE FUNCTION attempt_rows_foreign() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
AS $$
BEGIN
    IF tg_op = 'DELETE' THEN
        INSERT INTO foreign_changes (attempt_id, exam_id, version, revision)
        VALUES (old.id, old.exam_id, old.version, old.revision + 1);
        IF current_setting('attemptd.maintained_attempt', true) IS DISTINCT FROM old.id::text THEN
            INSERT INTO audit_log (action, attempt_id) VALUES ('delete', old.id);
        END IF;
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

CREATE TRIGGER attempt_rows_foreign_insert AFTER INSERT ON attempt_rows
    FOR EACH ROW WHEN (new.revision = 0) EXECUTE FUNCTION attempt_rows_foreign();
CREATE TRIGGER attempt_rows_foreign_update AFTER UPDATE ON attempt_rows
    FOR EACH ROW WHEN (new.revision = old.revision) EXECUTE FUNCTION attempt_rows_foreign();
CREATE TRIGGER attempt_rows_foreign_delete AFTER DELETE ON attempt_rows
    FOR EACH ROW EXECUTE FUNCTION attempt_rows_foreign();
ALTER TABLE attempt_rows ENABLE ALWAYS TRIGGER attempt_rows_foreign_insert;
ALTER TABLE attempt_rows ENABLE ALWAYS TRIGGER attempt_rows_foreign_update;
ALTER TABLE attempt_rows ENABLE ALWAYS TRIGGER attempt_rows_foreign_delete;

CREATE FUNCTION maintain_attempt(p_attempt_id uuid, p_action text, p_reason text,
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

-- Erased rejected writes and letters stay as empty rows, because the ledger counts them. What the
-- audit log says of the attempt's answers goes too.
CREATE FUNCTION erase_attempt(p_attempt_id uuid) RETURNS jsonb
    LANGUAGE plpgsql
AS $$
DECLARE
    v_attempts bigint;
    v_rejected bigint;
    v_letters  bigint;
    v_activity bigint;
    v_text     bytea := convert_to(p_attempt_id::text, 'UTF8');
BEGIN
    DELETE FROM attempt_rows WHERE id = p_attempt_id;
    GET DIAGNOSTICS v_attempts = ROW_COUNT;
    UPDATE rejected_writes
    SET attempt_id = NULL, event_id = NULL, event = NULL, erased_at = now()
    WHERE attempt_id = p_attempt_id;
    GET DIAGNOSTICS v_rejected = ROW_COUNT;
    UPDATE dead_letters
    SET attempt_id = NULL, event_id = NULL, record_key = NULL, record_value = NULL, headers = '[]',
        detail = NULL, erased_at = now()
    WHERE attempt_id = p_attempt_id OR record_key = v_text OR position(v_text IN record_value) > 0;
    GET DIAGNOSTICS v_letters = ROW_COUNT;
    DELETE FROM activity_events WHERE attempt_id = p_attempt_id;
    GET DIAGNOSTICS v_activity = ROW_COUNT;
    UPDATE audit_log SET detail = NULL WHERE attempt_id = p_attempt_id AND detail IS NOT NULL;
    RETURN jsonb_build_object('attempts', v_attempts, 'rejected_writes', v_rejected,
                              'dead_letters', v_letters, 'activity_events', v_activity);
END $$;

REVOKE EXECUTE ON FUNCTION maintain_attempt(uuid, text, text, jsonb), erase_attempt(uuid) FROM PUBLIC;

COMMENT ON FUNCTION maintain_attempt(uuid, text, text, jsonb) IS
    'The only door to a submitted attempt. amend merges p_answers into its answers (null clears a key); reopen puts it back in progress and takes its submission away; erase removes the attempt, its activity, and what its rejected writes and dead letters say. Audited; a foreign change. Returns the revision that was published with it.';

-- A definer's function must not look where its caller says.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION attempt_rows_foreign() SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION maintain_attempt(uuid, text, text, jsonb) SET search_path = %I, pg_temp', current_schema());
END $$;

-- migrate:down

DROP FUNCTION maintain_attempt(uuid, text, text, jsonb);
DROP FUNCTION erase_attempt(uuid);
DROP TRIGGER attempt_rows_foreign_delete ON attempt_rows;
DROP TRIGGER attempt_rows_foreign_update ON attempt_rows;
DROP TRIGGER attempt_rows_foreign_insert ON attempt_rows;
DROP FUNCTION attempt_rows_foreign();
DROP TABLE foreign_progress;
DROP TABLE foreign_changes;
DROP TRIGGER attempt_answers_guard_truncate ON attempt_answers;
DROP TRIGGER attempt_answers_guard ON attempt_answers;
DROP TRIGGER attempt_rows_guard_truncate ON attempt_rows;
DROP TRIGGER attempt_rows_guard ON attempt_rows;
DROP FUNCTION attempts_refuse_truncate();
DROP FUNCTION attempt_answers_guard();
DROP FUNCTION attempt_rows_guard();
DROP FUNCTION attempt_guard_refuse(text, uuid);
DROP FUNCTION attempt_guard_open(oid, uuid);
