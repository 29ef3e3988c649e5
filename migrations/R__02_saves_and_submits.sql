-- Saves and submits of many attempts in one call, beside the log.
--
-- The shape of both: read the input into arrays; lock all rows in the order of their ids, in one
-- statement; judge, in a second one, which sees what the wait for the locks brought; write. Locked
-- in one order, calls cannot block each other in a circle, nor the worker, which locks alike.
--
-- The revision stays as it is: so the trigger sees a foreign change, counts it, and has it told.
-- The functions act with the rights of their caller.

-- migrate:up

-- The write alone, of rows that are locked and judged: as a whole, or again one by one.
CREATE OR REPLACE FUNCTION attempt_save_rows(p_ids uuid[], p_expected bigint[], p_answers jsonb[],
                                             p_auto_save jsonb[], p_event_ids uuid[]) RETURNS bigint
    LANGUAGE sql
AS $$
    WITH written AS (
        UPDATE attempt_rows AS r
        SET folded_answers = CASE WHEN w.answers IS NULL THEN r.folded_answers
                ELSE attempt_merge(attempt_fold(r.folded_answers, r.tail), w.answers) END,
            tail = CASE WHEN w.answers IS NULL THEN r.tail ELSE '' END,
            auto_save_data = coalesce(w.auto_save_data::json, r.auto_save_data),
            version = r.version + 1,
            recent_event_ids = CASE WHEN w.event_id IS NULL THEN r.recent_event_ids
                ELSE r.recent_event_ids[cardinality(r.recent_event_ids) - 14 :] || w.event_id END
        FROM unnest(p_ids, p_expected, p_answers, p_auto_save, p_event_ids)
            AS w (id, expected, answers, auto_save_data, event_id)
        WHERE r.id = w.id AND r.version = w.expected AND r.status <> 'submitted'
        RETURNING r.id)
    SELECT count(*) FROM written
$$;

COMMENT ON FUNCTION attempt_save_rows(uuid[], bigint[], jsonb[], jsonb[], uuid[]) IS
    'Inside of batch_save_attempts(): writes saves whose rows are locked and judged.';

CREATE OR REPLACE FUNCTION attempt_submit_rows(p_ids uuid[]) RETURNS bigint
    LANGUAGE sql
AS $$
    WITH written AS (
        UPDATE attempt_rows AS r
        SET status = 'submitted', submitted_at = now(), version = r.version + 1,
            folded_answers = attempt_fold(r.folded_answers, r.tail), tail = ''
        FROM unnest(p_ids) AS w (id)
        WHERE r.id = w.id AND r.status <> 'submitted'
        RETURNING r.id)
    SELECT count(*) FROM written
$$;

COMMENT ON FUNCTION attempt_submit_rows(uuid[]) IS
    'Inside of batch_submit_attempts(): submits attempts whose rows are locked and judged.';

CREATE OR REPLACE FUNCTION batch_save_attempts(p_operations jsonb)
    RETURNS TABLE (ordinal bigint, attempt_id uuid, outcome text, version bigint, error text)
    LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    v_ids       uuid[];
    v_expected  bigint[];
    v_answers   jsonb[];
    v_auto_save jsonb[];
    v_event_ids uuid[];
    v_outcomes  text[];
    v_errors    text[];
    v_applied   int[];
    v_nth       int;
BEGIN
    IF jsonb_typeof(p_operations) IS DISTINCT FROM 'array' THEN
        RAISE EXCEPTION 'batch_save_attempts: an array of operations is needed, not %',
                coalesce(jsonb_typeof(p_operations), 'NULL')
            USING errcode = 'invalid_parameter_value',
            hint = '[{"attempt_id": "…", "expected_version": 6, "answers": {"q7": "B"}}]';
    END IF;

    WITH operations AS MATERIALIZED (
        SELECT o.nth,
               jsonb_typeof(o.op) AS kind,
               attempt_uuid(o.op ->> 'attempt_id') AS id,
               attempt_version(o.op -> 'expected_version') AS expected,
               nullif(o.op -> 'answers', 'null') AS answers,
               nullif(o.op -> 'auto_save_data', 'null') AS auto_save_data,
               nullif(o.op -> 'event_id', 'null') IS NOT NULL AS has_event_id,
               attempt_uuid(o.op ->> 'event_id') AS event_id
        FROM jsonb_array_elements(p_operations) WITH ORDINALITY AS o (op, nth)
    ), placed AS MATERIALIZED (
        SELECT *, id IS NOT NULL AND row_number() OVER (PARTITION BY id ORDER BY nth) > 1 AS again
        FROM operations
    ), read AS (
        SELECT *, CASE
            WHEN kind <> 'object' THEN 'the operation is not an object but: ' || kind
            WHEN id IS NULL THEN 'attempt_id: a UUID in lower case is needed'
            WHEN again THEN 'the attempt came before in this call'
            WHEN expected IS NULL THEN 'expected_version: an integer from 1 to 9223372036854775806 is needed'
            WHEN has_event_id AND event_id IS NULL THEN 'event_id: a UUID in lower case is needed'
            WHEN answers IS NOT NULL AND cardinality(attempt_answers_reasons(answers)) > 0
                THEN 'answers: ' || array_to_string(attempt_answers_reasons(answers), ', ')
            WHEN jsonb_typeof(auto_save_data) <> 'object' THEN 'auto_save_data: not_an_object'
            WHEN auto_save_data IS NOT NULL AND cardinality(attempt_json_reasons(auto_save_data, 30)) > 0
                THEN 'auto_save_data: ' || array_to_string(attempt_json_reasons(auto_save_data, 30), ', ')
            END AS error
        FROM placed
    )
    SELECT array_agg(id ORDER BY nth), array_agg(expected ORDER BY nth),
           array_agg(answers ORDER BY nth), array_agg(auto_save_data ORDER BY nth),
           array_agg(event_id ORDER BY nth), array_agg(error ORDER BY nth),
           array_agg(CASE WHEN error IS NULL THEN NULL WHEN again THEN 'repeated' ELSE 'invalid' END
                     ORDER BY nth)
    INTO v_ids, v_expected, v_answers, v_auto_save, v_event_ids, v_errors, v_outcomes
    FROM read;

    PERFORM FROM attempt_rows r
    WHERE r.id = ANY (ARRAY(SELECT u.id FROM unnest(v_ids, v_outcomes) AS u (id, outcome)
                            WHERE u.outcome IS NULL ORDER BY u.id))
    ORDER BY r.id
    FOR NO KEY UPDATE;

    SELECT array_agg(j.outcome ORDER BY j.nth),
           array_agg(coalesce(j.error, CASE j.outcome
               WHEN 'unknown' THEN 'there is no such attempt'
               WHEN 'late' THEN 'the attempt is submitted'
               WHEN 'conflict' THEN format('the attempt is at version %s, not %s', j.version, j.expected)
               END) ORDER BY j.nth),
           array_agg(j.nth::int ORDER BY j.nth) FILTER (WHERE j.outcome = 'applied')
    INTO v_outcomes, v_errors, v_applied
    FROM (SELECT o.nth, o.expected, o.error, r.version, CASE
                     WHEN o.outcome IS NOT NULL THEN o.outcome
                     WHEN r.id IS NULL THEN 'unknown'
                     WHEN r.recent_event_ids @> ARRAY[o.event_id] THEN 'duplicate'
                     WHEN r.status = 'submitted' THEN 'late'
                     WHEN r.version <> o.expected THEN 'conflict'
                     ELSE 'applied'
                     END AS outcome
          FROM unnest(v_ids, v_expected, v_event_ids, v_outcomes, v_errors) WITH ORDINALITY
              AS o (id, expected, event_id, outcome, error, nth)
          LEFT JOIN attempt_rows r ON r.id = o.id) AS j;

    -- What a constraint or a trigger of the platform's refuses is one input's trouble, not the
    -- call's: then each is written by itself.
    BEGIN
        PERFORM attempt_save_rows(
            array_agg(v_ids[n] ORDER BY n), array_agg(v_expected[n] ORDER BY n),
            array_agg(v_answers[n] ORDER BY n), array_agg(v_auto_save[n] ORDER BY n),
            array_agg(v_event_ids[n] ORDER BY n))
        FROM unnest(v_applied) AS n;
    EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded
                   OR raise_exception THEN
        FOREACH v_nth IN ARRAY v_applied LOOP
            BEGIN
                PERFORM attempt_save_rows(v_ids[v_nth : v_nth], v_expected[v_nth : v_nth],
                                          v_answers[v_nth : v_nth], v_auto_save[v_nth : v_nth],
                                          v_event_ids[v_nth : v_nth]);
            EXCEPTION WHEN data_exception OR integrity_constraint_violation
                           OR program_limit_exceeded OR raise_exception THEN
                v_outcomes[v_nth] := 'invalid';
                v_errors[v_nth] := 'the database refused it: ' || sqlerrm;
            END;
        END LOOP;
    END;

    RETURN QUERY
    SELECT o.nth, o.id, o.outcome, r.version, o.error
    FROM unnest(v_ids, v_outcomes, v_errors) WITH ORDINALITY AS o (id, outcome, error, nth)
    LEFT JOIN attempt_rows r ON r.id = o.id
    ORDER BY o.nth;
END $$;

COMMENT ON FUNCTION batch_save_attempts(jsonb) IS
    'Saves many attempts with strict compare-and-set: [{"attempt_id","expected_version","answers"?,"auto_save_data"?,"event_id"?}], where expected_version must be the row''s version. One row per operation, in order: applied, duplicate (that event_id is among the last 16 applied), conflict, late (submitted), unknown, invalid, repeated (only an attempt''s first operation in a call is judged). version is the row''s after the call; error says what is wrong.';

CREATE OR REPLACE FUNCTION batch_submit_attempts(p_attempt_ids uuid[])
    RETURNS TABLE (ordinal bigint, attempt_id uuid, outcome text, version bigint,
                   submitted_at timestamptz, error text)
    LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    v_ids      uuid[];
    v_outcomes text[];
    v_errors   text[];
    v_applied  int[];
    v_nth      int;
BEGIN
    SELECT array_agg(i.id ORDER BY i.nth) INTO v_ids
    FROM unnest(p_attempt_ids) WITH ORDINALITY AS i (id, nth);

    PERFORM FROM attempt_rows r WHERE r.id = ANY (v_ids) ORDER BY r.id FOR NO KEY UPDATE;

    SELECT array_agg(j.outcome ORDER BY j.nth),
           array_agg(CASE j.outcome
               WHEN 'invalid' THEN 'attempt_id: null'
               WHEN 'repeated' THEN 'the attempt came before in this call'
               WHEN 'unknown' THEN 'there is no such attempt'
               WHEN 'late' THEN 'the attempt is submitted already'
               END ORDER BY j.nth),
           array_agg(j.nth::int ORDER BY j.nth) FILTER (WHERE j.outcome = 'applied')
    INTO v_outcomes, v_errors, v_applied
    FROM (SELECT i.nth, CASE
                     WHEN i.id IS NULL THEN 'invalid'
                     WHEN row_number() OVER (PARTITION BY i.id ORDER BY i.nth) > 1 THEN 'repeated'
                     WHEN r.id IS NULL THEN 'unknown'
                     WHEN r.status = 'submitted' THEN 'late'
                     ELSE 'applied'
                     END AS outcome
          FROM unnest(v_ids) WITH ORDINALITY AS i (id, nth)
          LEFT JOIN attempt_rows r ON r.id = i.id) AS j;

    -- Answers that came around the worker may be more than their table takes (a question id of
    -- some kilobytes): then each attempt is submitted by itself.
    BEGIN
        PERFORM attempt_submit_rows(array_agg(v_ids[n] ORDER BY n)) FROM unnest(v_applied) AS n;
    EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded
                   OR raise_exception THEN
        FOREACH v_nth IN ARRAY v_applied LOOP
            BEGIN
                PERFORM attempt_submit_rows(v_ids[v_nth : v_nth]);
            EXCEPTION WHEN data_exception OR integrity_constraint_violation
                           OR program_limit_exceeded OR raise_exception THEN
                v_outcomes[v_nth] := 'invalid';
                v_errors[v_nth] := 'the database refused it: ' || sqlerrm;
            END;
        END LOOP;
    END;

    RETURN QUERY
    SELECT o.nth, o.id, o.outcome, r.version, r.submitted_at, o.error
    FROM unnest(v_ids, v_outcomes, v_errors) WITH ORDINALITY AS o (id, outcome, error, nth)
    LEFT JOIN attempt_rows r ON r.id = o.id
    ORDER BY o.nth;
END $$;

COMMENT ON FUNCTION batch_submit_attempts(uuid[]) IS
    'Submits many attempts whatever their versions, with submitted_at = now(). One row per id, in order: applied, late (submitted already: the first submit stands), unknown, invalid (null, or refused), repeated. A worker fills in digest and receipt and publishes the outcome within seconds.';

-- The plans for arrays of unknown length go by the primary key, also when an array is long.
DO $$
DECLARE
    v_function regprocedure;
BEGIN
    FOREACH v_function IN ARRAY ARRAY[
        'attempt_save_rows(uuid[], bigint[], jsonb[], jsonb[], uuid[])', 'attempt_submit_rows(uuid[])',
        'batch_save_attempts(jsonb)', 'batch_submit_attempts(uuid[])']::regprocedure[]
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', v_function, current_schema());
        EXECUTE format('ALTER FUNCTION %s SET plan_cache_mode = force_generic_plan', v_function);
    END LOOP;
END $$;

-- migrate:down

DROP FUNCTION IF EXISTS batch_submit_attempts(uuid[]);
DROP FUNCTION IF EXISTS batch_save_attempts(jsonb);
DROP FUNCTION IF EXISTS attempt_submit_rows(uuid[]);
DROP FUNCTION IF EXISTS attempt_save_rows(uuid[], bigint[], jsonb[], jsonb[], uuid[]);
