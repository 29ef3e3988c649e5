-- What stands, and what would keep an attempt from being handed in: reads only.

-- migrate:up

CREATE OR REPLACE FUNCTION get_multiple_attempt_states(p_attempt_ids uuid[])
    RETURNS TABLE (ordinal bigint, attempt_id uuid, found boolean, exam_id uuid, student_id uuid,
                   status text, version bigint, answers jsonb, auto_save_data jsonb,
                   updated_at timestamptz, submitted_at timestamptz)
    LANGUAGE sql STABLE
AS $$
    SELECT i.nth, i.id, r.id IS NOT NULL, r.exam_id, r.student_id, r.status, r.version,
           attempt_fold(r.folded_answers, r.tail),
           r.auto_save_data::jsonb, r.updated_at, r.submitted_at
    FROM unnest(p_attempt_ids) WITH ORDINALITY AS i (id, nth)
    LEFT JOIN attempt_rows r ON r.id = i.id
    ORDER BY i.nth
$$;

COMMENT ON FUNCTION get_multiple_attempt_states(uuid[]) IS
    'The state of many attempts: one row per id, in order; found is false for an unknown one.';

CREATE OR REPLACE FUNCTION validate_multiple_attempts(p_attempt_ids uuid[])
    RETURNS TABLE (ordinal bigint, attempt_id uuid, valid boolean, reasons text[])
    LANGUAGE sql STABLE
AS $$
    SELECT v.nth, v.id, cardinality(v.reasons) = 0, v.reasons
    FROM (SELECT i.nth, i.id,
                 CASE WHEN r.id IS NULL THEN '{unknown_attempt}'
                 ELSE array_remove(ARRAY[
                     CASE WHEN r.status = 'submitted' THEN 'already_submitted' END,
                     CASE WHEN r.deadline_at < now() THEN 'past_deadline' END,
                     CASE WHEN r.exam_id IS NULL THEN 'no_start' END,
                     CASE WHEN attempt_fold(r.folded_answers, r.tail) = '{}' THEN 'no_answers' END], NULL)
                     || attempt_answers_reasons(attempt_fold(r.folded_answers, r.tail))
                 END AS reasons
          FROM unnest(p_attempt_ids) WITH ORDINALITY AS i (id, nth)
          LEFT JOIN attempt_rows r ON r.id = i.id) AS v
    ORDER BY v.nth
$$;

COMMENT ON FUNCTION validate_multiple_attempts(uuid[]) IS
    'validate_attempt_upload() for many: one row per id, in order.';

CREATE OR REPLACE FUNCTION validate_attempt_upload(p_attempt_id uuid)
    RETURNS TABLE (attempt_id uuid, valid boolean, reasons text[])
    LANGUAGE sql STABLE
AS $$
    SELECT v.attempt_id, v.valid, v.reasons FROM validate_multiple_attempts(ARRAY[p_attempt_id]) AS v
$$;

COMMENT ON FUNCTION validate_attempt_upload(uuid) IS
    'Whether the attempt could be handed in now, and every reason why not: unknown_attempt, already_submitted, past_deadline, no_start, no_answers, and those of attempt_answers_reasons(). One row, also for an unknown attempt. Changes and locks nothing; the deadline is the caller''s to judge: a submit after it is applied all the same.';

DO $$
DECLARE
    v_function regprocedure;
BEGIN
    FOREACH v_function IN ARRAY ARRAY[
        'get_multiple_attempt_states(uuid[])', 'validate_multiple_attempts(uuid[])',
        'validate_attempt_upload(uuid)']::regprocedure[]
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', v_function, current_schema());
        EXECUTE format('ALTER FUNCTION %s SET plan_cache_mode = force_generic_plan', v_function);
    END LOOP;
END $$;

-- migrate:down

DROP FUNCTION IF EXISTS validate_attempt_upload(uuid);
DROP FUNCTION IF EXISTS validate_multiple_attempts(uuid[]);
DROP FUNCTION IF EXISTS get_multiple_attempt_states(uuid[]);
