-- Who changed what outside the worker: direct changes to attempts and what was done to dead letters,
-- as old and new values. The audit log can be added to, and by nobody but its owner changed.

-- migrate:up

CREATE INDEX audit_log_record ON audit_log (topic, partition) WHERE topic IS NOT NULL;

-- What 0004 made, and for direct changes an entry in the audit log: only the columns that changed,
-- of the answers only the questions. One statement, because each row of a batch pays for it.
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

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION attempt_rows_foreign() SET search_path = %I, pg_temp', current_schema());
END $$;

CREATE FUNCTION dead_letters_audit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
AS $$
BEGIN
    INSERT INTO audit_log (action, attempt_id, topic, partition, detail)
    SELECT a.action, new.attempt_id, new.topic, new.partition,
           jsonb_build_object('letter', new.id, 'record_offset', new.record_offset,
                              'generation', new.generation, 'old', a.old, 'new', a.new)
    FROM (VALUES ('letter replayed', old.replayed_at, new.replayed_at),
                 ('letter discarded', old.discarded_at, new.discarded_at)) AS a (action, old, new)
    WHERE a.old IS DISTINCT FROM a.new;
    RETURN NULL;
END $$;

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION dead_letters_audit() SET search_path = %I, pg_temp', current_schema());
END $$;

CREATE TRIGGER dead_letters_audit AFTER UPDATE ON dead_letters
    FOR EACH ROW WHEN ((old.replayed_at, old.discarded_at) IS DISTINCT FROM (new.replayed_at, new.discarded_at))
    EXECUTE FUNCTION dead_letters_audit();
ALTER TABLE dead_letters ENABLE ALWAYS TRIGGER dead_letters_audit;

-- The owner alone: maintain_attempt(id, 'erase', …), which acts as the owner, clears what the log
-- says of the answers.
CREATE FUNCTION audit_log_keep() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (SELECT relowner FROM pg_class WHERE oid = tg_relid)
       <> (SELECT oid FROM pg_roles WHERE rolname = current_user) THEN
        RAISE EXCEPTION USING
            errcode = 'restrict_violation',
            message = format('%s of the audit log is refused: it can only be added to', lower(tg_op));
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER audit_log_keep AFTER UPDATE OR DELETE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_keep();
CREATE TRIGGER audit_log_keep_truncate BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_keep();
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_keep;
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_keep_truncate;

COMMENT ON TABLE audit_log IS
    'Who did what beside the worker: insert, update, delete of attempts (as old and new values), amend, reopen, erase, letter replayed, letter discarded, accept-gap, migrate, … Append-only for every role but the owner.';

-- migrate:down

DROP TRIGGER audit_log_keep_truncate ON audit_log;
DROP TRIGGER audit_log_keep ON audit_log;
DROP FUNCTION audit_log_keep();
DROP TRIGGER dead_letters_audit ON dead_letters;
DROP FUNCTION dead_letters_audit();

CREATE OR REPLACE FUNCTION attempt_rows_foreign() RETURNS trigger
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

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION attempt_rows_foreign() SET search_path = %I, pg_temp', current_schema());
END $$;

DROP INDEX audit_log_record;
