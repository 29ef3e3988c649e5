-- Activity beside the log: stored in one call, summed up per student and day.

-- migrate:up

CREATE OR REPLACE FUNCTION batch_log_attempt_activity(p_batch jsonb)
    RETURNS TABLE (ordinal bigint, attempt_id uuid, outcome text, stored bigint, error text)
    LANGUAGE plpgsql
AS $$
#variable_conflict use_column
BEGIN
    IF jsonb_typeof(p_batch) IS DISTINCT FROM 'array' THEN
        RAISE EXCEPTION 'batch_log_attempt_activity: an array is needed, not %',
                coalesce(jsonb_typeof(p_batch), 'NULL')
            USING errcode = 'invalid_parameter_value',
            hint = '[{"attempt_id": "…", "events": [{"event_id": "…", "event_type": "focus_lost", "occurred_at": "2026-11-21T12:00:00Z"}]}]';
    END IF;

    RETURN QUERY
    WITH members AS MATERIALIZED (
        SELECT m.nth,
               attempt_uuid(m.member ->> 'attempt_id') AS id,
               m.member -> 'events' AS events,
               CASE
               WHEN jsonb_typeof(m.member) <> 'object'
                   THEN 'the member is not an object but: ' || jsonb_typeof(m.member)
               WHEN attempt_uuid(m.member ->> 'attempt_id') IS NULL
                   THEN 'attempt_id: a UUID in lower case is needed'
               WHEN jsonb_typeof(m.member -> 'events') IS DISTINCT FROM 'array'
                   THEN 'events: an array is needed'
               WHEN jsonb_array_length(m.member -> 'events') NOT BETWEEN 1 AND 1000
                   THEN 'events: 1 to 1000 are needed'
               WHEN octet_length(m.member::text) > 1048576
                   THEN 'events: more than 1 MiB'
               END AS error
        FROM jsonb_array_elements(p_batch) WITH ORDINALITY AS m (member, nth)
    ), events AS MATERIALIZED (
        SELECT m.nth, m.id AS attempt_id, e.at,
               attempt_uuid(e.event ->> 'event_id') AS event_id,
               e.event ->> 'event_type' AS event_type,
               nullif(e.event -> 'payload', 'null') AS payload,
               CASE WHEN jsonb_typeof(e.event -> 'occurred_at') = 'string'
                    THEN attempt_time(e.event ->> 'occurred_at') END AS occurred_at,
               CASE
               WHEN jsonb_typeof(e.event) <> 'object' THEN ': an object is needed'
               WHEN attempt_uuid(e.event ->> 'event_id') IS NULL
                   THEN '.event_id: a UUID in lower case is needed'
               WHEN jsonb_typeof(e.event -> 'event_type') IS DISTINCT FROM 'string'
                    OR octet_length(e.event ->> 'event_type') NOT BETWEEN 1 AND 256
                   THEN '.event_type: a text of 1 to 256 bytes is needed'
               WHEN jsonb_typeof(e.event -> 'occurred_at') IS DISTINCT FROM 'string'
                    OR attempt_time(e.event ->> 'occurred_at') IS NULL
                   THEN '.occurred_at: a time as RFC 3339 has it is needed, from 2000 to 2099'
               WHEN nullif(e.event -> 'payload', 'null') IS NOT NULL
                    AND cardinality(attempt_json_reasons(e.event -> 'payload', 28)) > 0
                   THEN '.payload: ' || array_to_string(attempt_json_reasons(e.event -> 'payload', 28), ', ')
               END AS error
        FROM members m
        CROSS JOIN LATERAL jsonb_array_elements(CASE WHEN m.error IS NULL THEN m.events ELSE '[]' END)
            WITH ORDINALITY AS e (event, at)
    ), judged AS MATERIALIZED (
        -- One bad event makes its member bad, as it makes a record dead; the first is named.
        SELECT m.nth, m.id, coalesce(m.error, b.error) AS error
        FROM members m
        LEFT JOIN (SELECT DISTINCT ON (nth) nth, format('events[%s]%s', at - 1, error) AS error
                   FROM events WHERE error IS NOT NULL ORDER BY nth, at) AS b ON b.nth = m.nth
    ), candidates AS MATERIALIZED (
        SELECT DISTINCT ON (e.event_id, e.occurred_at) e.*
        FROM events e JOIN judged j ON j.nth = e.nth
        WHERE j.error IS NULL
        ORDER BY e.event_id, e.occurred_at, e.nth, e.at
    ), inserted AS (
        -- In the worker's order, so that two who store the same events wait in one direction.
        INSERT INTO activity_events AS a (event_id, attempt_id, event_type, payload, occurred_at)
        SELECT c.event_id, c.attempt_id, c.event_type, c.payload, c.occurred_at
        FROM candidates c
        ORDER BY c.event_id, c.occurred_at
        ON CONFLICT DO NOTHING
        RETURNING a.event_id, a.occurred_at
    ), counted AS (
        SELECT c.nth, count(*) AS stored
        FROM inserted i JOIN candidates c ON c.event_id = i.event_id AND c.occurred_at = i.occurred_at
        GROUP BY c.nth
    ), noted AS (
        INSERT INTO foreign_activity (stored)
        SELECT sum(c.stored) FROM counted c HAVING count(*) > 0
    )
    SELECT j.nth, j.id,
           CASE WHEN j.error IS NOT NULL THEN 'invalid'
                WHEN c.stored > 0 THEN 'applied' ELSE 'duplicate' END,
           coalesce(c.stored, 0), j.error
    FROM judged j LEFT JOIN counted c ON c.nth = j.nth
    ORDER BY j.nth;
END $$;

COMMENT ON FUNCTION batch_log_attempt_activity(jsonb) IS
    'Stores activity of many attempts, whether or not they are known: [{"attempt_id","events":[{"event_id","event_type","payload"?,"occurred_at"}]}]. One row per member, in order: applied (at least one event was new; stored says how many), duplicate, invalid (the first bad event is named, none of the member''s is stored).';

CREATE OR REPLACE FUNCTION get_user_activity_summary(p_user_id uuid, p_days int)
    RETURNS TABLE (day date, attempts bigint, saves_seen bigint, activity_events bigint,
                   first_at timestamptz, last_at timestamptz)
    LANGUAGE sql STABLE
AS $$
    WITH span AS (
        SELECT (now() AT TIME ZONE 'UTC')::date - least(p_days, 36600) + 1 AS first_day
    ), since AS (
        SELECT first_day::timestamp AT TIME ZONE 'UTC' AS at FROM span
    ), started AS (
        SELECT (r.started_at AT TIME ZONE 'UTC')::date AS day, count(*) AS attempts,
               sum(r.version - 1)::bigint AS saves_seen
        FROM attempt_rows r
        WHERE r.student_id = p_user_id AND r.started_at >= (SELECT at FROM since)
        GROUP BY 1
    ), done AS (
        SELECT (e.occurred_at AT TIME ZONE 'UTC')::date AS day, count(*) AS activity_events,
               min(e.occurred_at) AS first_at, max(e.occurred_at) AS last_at
        FROM attempt_rows r
        CROSS JOIN LATERAL (
            SELECT a.occurred_at FROM activity_events a
            WHERE a.attempt_id = r.id AND a.occurred_at >= (SELECT at FROM since)) AS e
        WHERE r.student_id = p_user_id
        GROUP BY 1
    )
    SELECT day, coalesce(s.attempts, 0), coalesce(s.saves_seen, 0), coalesce(d.activity_events, 0),
           d.first_at, d.last_at
    FROM started s FULL JOIN done d USING (day)
    WHERE p_days > 0
    ORDER BY day
$$;

COMMENT ON FUNCTION get_user_activity_summary(uuid, int) IS
    'What a student did in the last p_days days (UTC, today included), one row for each day with something: attempts started that day, saves_seen (sum of version - 1 over these), activity_events that happened that day with the first and the last.';

-- Events with a time outside every partition lie in the default one; a short statement at a time, so
-- that no flush waits for it.
CREATE OR REPLACE FUNCTION expire_activity(p_before date, p_limit int) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
AS $$
    WITH old AS (
        SELECT event_id, occurred_at FROM activity_events_default
        WHERE occurred_at < p_before::timestamp AT TIME ZONE 'UTC'
        LIMIT p_limit
    ), gone AS (
        DELETE FROM activity_events_default d USING old
        WHERE d.event_id = old.event_id AND d.occurred_at = old.occurred_at
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
REVOKE EXECUTE ON FUNCTION expire_activity(date, int) FROM PUBLIC;

COMMENT ON FUNCTION expire_activity(date, int) IS
    'Deletes at most so many events of the default partition that happened before that day; how many.';

-- Whoever may store activity may leave word of it; nothing more.
DO $$
DECLARE
    v_function regprocedure;
BEGIN
    FOREACH v_function IN ARRAY ARRAY[
        'batch_log_attempt_activity(jsonb)', 'get_user_activity_summary(uuid, int)',
        'expire_activity(date, int)']::regprocedure[]
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', v_function, current_schema());
        EXECUTE format('ALTER FUNCTION %s SET plan_cache_mode = force_generic_plan', v_function);
    END LOOP;
END $$;

-- migrate:down

DROP FUNCTION IF EXISTS expire_activity(date, int);
DROP FUNCTION IF EXISTS get_user_activity_summary(uuid, int);
DROP FUNCTION IF EXISTS batch_log_attempt_activity(jsonb);
