-- A month's partition is made while events come in: what lies in the default partition is copied in
-- small transactions, and only the exchange needs a lock. This table remembers how far that is.
-- The functions are in R__06_activity_partitions.sql.

-- migrate:up

CREATE TABLE activity_moves (
    only_row    boolean PRIMARY KEY DEFAULT true CONSTRAINT activity_moves_one_row CHECK (only_row),
    month       date,
    event_id    uuid,
    occurred_at timestamptz,
    copied      boolean NOT NULL DEFAULT false,
    broken      boolean NOT NULL DEFAULT false,
    begun_at    timestamptz
);
INSERT INTO activity_moves DEFAULT VALUES;

COMMENT ON TABLE activity_moves IS
    'How far the default partition of activity_events is sorted out: one row, locked by whoever works at it.';
COMMENT ON COLUMN activity_moves.month IS 'for which a partition is being made; null: none';
COMMENT ON COLUMN activity_moves.event_id IS 'the last event that was copied, with occurred_at; null: none yet';
COMMENT ON COLUMN activity_moves.copied IS 'all are copied; what is left to do is the exchange';
COMMENT ON COLUMN activity_moves.broken IS
    'An event came that fits neither copy, because another partition went meanwhile: to be begun anew.';

DROP FUNCTION make_activity_partition(date);
DROP FUNCTION drop_activity_partitions(date);

-- migrate:down

DROP TABLE activity_moves;

-- The functions as migration 0003 made them.
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

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION make_activity_partition(date) SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION drop_activity_partitions(date) SET search_path = %I, pg_temp', current_schema());
END $$;
