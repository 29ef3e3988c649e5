-- What students do, event by event: a log of its own, partitioned by the month it happened in.

-- migrate:up

CREATE TABLE activity_events (
    event_id    uuid        NOT NULL,
    attempt_id  uuid        NOT NULL,
    event_type  text        NOT NULL,
    payload     jsonb,
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (event_id, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX activity_events_attempt ON activity_events (attempt_id, occurred_at);

-- Clocks of students are wrong in both directions: what fits no month still has a place.
CREATE TABLE activity_events_default PARTITION OF activity_events DEFAULT;

COMMENT ON TABLE activity_events IS
    'Activity of students. Stored whether or not the attempt is known (no foreign key); the same event (event_id, occurred_at) once.';

-- A new partition is filled and indexed by itself and then attached, so that only the attaching
-- waits for writers. Call with a short lock_timeout, and again later when that was not granted.
CREATE FUNCTION make_activity_partition(p_day date) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
AS $$
DECLARE
    v_from   timestamptz := date_trunc('month', p_day::timestamp) AT TIME ZONE 'UTC';
    v_until  timestamptz := (date_trunc('month', p_day::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
    v_name   text := 'activity_events_' || to_char(p_day, 'YYYY_MM');
    v_within text := format('occurred_at >= %L AND occurred_at < %L', v_from, v_until);
BEGIN
    IF to_regclass(v_name) IS NOT NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE activity_events INCLUDING ALL, CONSTRAINT month CHECK (%s))',
                   v_name, v_within);
    -- What lies in the default partition already moves; nothing may come in meanwhile.
    LOCK TABLE activity_events_default IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('WITH moved AS (DELETE FROM activity_events_default WHERE %s RETURNING *) '
                   'INSERT INTO %I SELECT * FROM moved', v_within, v_name);
    EXECUTE format('ALTER TABLE activity_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   v_name, v_from, v_until);
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT month', v_name);
    RETURN v_name;
END $$;

CREATE FUNCTION drop_activity_partitions(p_before date) RETURNS text[]
    LANGUAGE plpgsql SECURITY DEFINER
AS $$
DECLARE
    v_name  text;
    v_gone  text[] := '{}';
BEGIN
    FOR v_name IN
        SELECT c.relname
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'activity_events'::regclass
          AND c.relname ~ '^activity_events_\d{4}_\d{2}$'
          AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= p_before
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE %I', v_name);
        v_gone := v_gone || v_name;
    END LOOP;
    RETURN v_gone;
END $$;

REVOKE EXECUTE ON FUNCTION make_activity_partition(date), drop_activity_partitions(date) FROM PUBLIC;

COMMENT ON FUNCTION make_activity_partition(date) IS
    'Makes the partition of activity_events for the month of that day; its name, or null if there is one.';
COMMENT ON FUNCTION drop_activity_partitions(date) IS
    'Drops the partitions of activity_events that end on or before that day; their names.';

-- A definer's function must not look where its caller says.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION make_activity_partition(date) SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION drop_activity_partitions(date) SET search_path = %I, pg_temp', current_schema());
    PERFORM make_activity_partition((now() AT TIME ZONE 'UTC' + n * interval '1 month')::date)
    FROM generate_series(-1, 2) AS n;
END $$;

-- migrate:down

DROP FUNCTION drop_activity_partitions(date);
DROP FUNCTION make_activity_partition(date);
DROP TABLE activity_events;
