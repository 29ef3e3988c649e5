-- Partitions for activity are made, and dropped, while events come in: no writer waits for longer
-- than a lock timeout of 50 ms and the moment that the change of the catalogue takes.
--
-- A month whose events lie in the default partition, many of them, gets its own like this, each
-- step a small transaction, by whichever worker has the row of activity_moves:
--
--   begin   Two tables are made by themselves: activity_events_next for the month, and
--           activity_events_default_next for the rest of the default partition. From here on a
--           trigger copies each change of the default partition to them.
--   copy    What was there before is copied, a thousand rows at a time, in the order of the key.
--   finish  Both are whole: the default partition is exchanged for the two. Their CHECK constraints
--           say what they hold, so that PostgreSQL need not look.
--
-- The originals stay where they are until the exchange. So readers see every event all the time, and
-- an event that comes again still meets itself (ON CONFLICT): it cannot be in two partitions.
--
-- For a small default partition with few such events, as it is nearly always, one step does it all.
--
-- All of it locks activity_events itself, not only the default partition: a writer that waits for
-- the default one has chosen it already, and when it goes on, it is refused by the new bounds (23514).

-- migrate:up

-- What the default partition gets while it is copied. tg_argv: the month, from and until; then the
-- bounds of all partitions there are. Who takes one of these away meanwhile makes room for events
-- that fit neither copy; they are not refused: the move is begun anew.
CREATE OR REPLACE FUNCTION activity_events_mirror() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
AS $$
BEGIN
    IF tg_op = 'TRUNCATE' THEN
        TRUNCATE activity_events_next, activity_events_default_next;
        RETURN NULL;
    END IF;
    IF tg_op <> 'INSERT' THEN
        DELETE FROM activity_events_next n
        WHERE n.event_id = old.event_id AND n.occurred_at = old.occurred_at;
        DELETE FROM activity_events_default_next n
        WHERE n.event_id = old.event_id AND n.occurred_at = old.occurred_at;
    END IF;
    IF tg_op <> 'DELETE' THEN
        IF new.occurred_at >= tg_argv[0]::timestamptz AND new.occurred_at < tg_argv[1]::timestamptz THEN
            INSERT INTO activity_events_next VALUES (new.*) ON CONFLICT DO NOTHING;
        ELSIF EXISTS (SELECT FROM unnest(tg_argv[2]::timestamptz[], tg_argv[3]::timestamptz[])
                          AS p (first, until)
                      WHERE new.occurred_at >= p.first AND new.occurred_at < p.until) THEN
            UPDATE activity_moves SET broken = true WHERE NOT broken;
        ELSE
            INSERT INTO activity_events_default_next VALUES (new.*) ON CONFLICT DO NOTHING;
        END IF;
    END IF;
    RETURN NULL;
END $$;

COMMENT ON FUNCTION activity_events_mirror() IS
    'Inside of make_activity_partition(): keeps the copies of the default partition true.';

CREATE OR REPLACE FUNCTION activity_month_within(p_month date) RETURNS text
    LANGUAGE sql STABLE
RETURN format('occurred_at >= %L AND occurred_at < %L', to_char(p_month::timestamp, 'YYYY-MM-DD') || ' 00:00:00+00',
              to_char(p_month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00');

CREATE OR REPLACE FUNCTION activity_month_name(p_month date) RETURNS text
    LANGUAGE sql STABLE
RETURN 'activity_events_' || to_char(p_month::timestamp, 'YYYY_MM');

COMMENT ON FUNCTION activity_month_within(date) IS
    'The condition that an event happened in the month (UTC) which begins on that day.';
COMMENT ON FUNCTION activity_month_name(date) IS 'The name of the partition for that month.';

-- In the order of the writers, and the second without waiting: so they wait once at most.
CREATE OR REPLACE FUNCTION activity_lock() RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    LOCK TABLE ONLY activity_events IN ACCESS EXCLUSIVE MODE;
    LOCK TABLE activity_events_default IN ACCESS EXCLUSIVE MODE NOWAIT;
END $$;

COMMENT ON FUNCTION activity_lock() IS
    'Inside of make_activity_partition(): locks out the writers of activity.';

-- As one step: the default partition is locked while its few events of the month move.
CREATE OR REPLACE FUNCTION activity_month_at_once(p_month date) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_name   text := activity_month_name(p_month);
    v_within text := activity_month_within(p_month);
BEGIN
    EXECUTE format('CREATE TABLE %I (LIKE activity_events INCLUDING ALL, CONSTRAINT month CHECK (%s))',
                   v_name, v_within);
    PERFORM activity_lock();
    EXECUTE format('WITH moved AS (DELETE FROM activity_events_default WHERE %s RETURNING *) '
                   'INSERT INTO %I SELECT * FROM moved', v_within, v_name);
    PERFORM activity_month_attach(p_month);
END $$;

CREATE OR REPLACE FUNCTION activity_month_attach(p_month date) RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format('ALTER TABLE activity_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   activity_month_name(p_month), to_char(p_month::timestamp, 'YYYY-MM-DD') || ' 00:00:00+00',
                   to_char(p_month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00');
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT month', activity_month_name(p_month));
END $$;

CREATE OR REPLACE FUNCTION activity_move_begin(p_month date) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_first   timestamptz[];
    v_until   timestamptz[];
    v_outside text;
    v_row     regclass := 'activity_events_default';
BEGIN
    SELECT array_agg(b.bounds[1]::timestamptz ORDER BY b.bounds[1]),
           array_agg(b.bounds[2]::timestamptz ORDER BY b.bounds[1]),
           string_agg(format(' AND (occurred_at < %L OR occurred_at >= %L)', b.bounds[1], b.bounds[2]), ''
                      ORDER BY b.bounds[1])
    INTO v_first, v_until, v_outside
    FROM (SELECT regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''(.*)''\) TO \(''(.*)''\)') AS bounds
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
          WHERE i.inhparent = 'activity_events'::regclass AND i.inhrelid <> v_row) AS b
    WHERE b.bounds IS NOT NULL;

    EXECUTE format('CREATE TABLE activity_events_next '
                   '(LIKE activity_events INCLUDING ALL, CONSTRAINT month CHECK (%s))',
                   activity_month_within(p_month));
    EXECUTE format('CREATE TABLE activity_events_default_next '
                   '(LIKE activity_events INCLUDING ALL, CONSTRAINT outside CHECK '
                   '((occurred_at < %L OR occurred_at >= %L)%s))',
                   to_char(p_month::timestamp, 'YYYY-MM-DD') || ' 00:00:00+00',
                   to_char(p_month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00', v_outside);
    -- Waits for the writers there are: what they write is committed before the first copy.
    EXECUTE format('CREATE TRIGGER activity_mirror AFTER INSERT OR UPDATE OR DELETE ON activity_events_default '
                   'FOR EACH ROW EXECUTE FUNCTION activity_events_mirror(%L, %L, %L, %L)',
                   to_char(p_month::timestamp, 'YYYY-MM-DD') || ' 00:00:00+00',
                   to_char(p_month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00',
                   coalesce(v_first, '{}'), coalesce(v_until, '{}'));
    CREATE TRIGGER activity_mirror_truncate AFTER TRUNCATE ON activity_events_default
        FOR EACH STATEMENT EXECUTE FUNCTION activity_events_mirror();
    ALTER TABLE activity_events_default ENABLE ALWAYS TRIGGER activity_mirror;
    ALTER TABLE activity_events_default ENABLE ALWAYS TRIGGER activity_mirror_truncate;
    UPDATE activity_moves
    SET month = p_month, event_id = NULL, occurred_at = NULL, copied = false, broken = false,
        begun_at = now();
END $$;

-- Locked as they are copied: who erases one waits for us, and then finds the copy. Who has one
-- locked already makes us come again later.
CREATE OR REPLACE FUNCTION activity_move_copy(p_limit int) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_move  activity_moves;
    v_from  timestamptz;
    v_until timestamptz;
    v_rows  bigint;
BEGIN
    SELECT * INTO v_move FROM activity_moves;
    v_from := v_move.month::timestamp AT TIME ZONE 'UTC';
    v_until := (v_move.month + interval '1 month') AT TIME ZONE 'UTC';
    WITH batch AS MATERIALIZED (
        SELECT d AS event FROM activity_events_default d
        WHERE (d.event_id, d.occurred_at) >
              (coalesce(v_move.event_id, '00000000-0000-0000-0000-000000000000'),
               coalesce(v_move.occurred_at, '-infinity'))
        ORDER BY d.event_id, d.occurred_at
        LIMIT p_limit
        FOR SHARE NOWAIT
    ), of_month AS (
        INSERT INTO activity_events_next
        SELECT (b.event).* FROM batch b
        WHERE (b.event).occurred_at >= v_from AND (b.event).occurred_at < v_until
        ON CONFLICT DO NOTHING
    ), of_others AS (
        INSERT INTO activity_events_default_next
        SELECT (b.event).* FROM batch b
        WHERE (b.event).occurred_at < v_from OR (b.event).occurred_at >= v_until
        ON CONFLICT DO NOTHING
    )
    SELECT count(*), (array_agg((b.event).event_id ORDER BY (b.event).event_id DESC, (b.event).occurred_at DESC))[1],
           (array_agg((b.event).occurred_at ORDER BY (b.event).event_id DESC, (b.event).occurred_at DESC))[1]
    INTO v_rows, v_move.event_id, v_move.occurred_at
    FROM batch b;
    UPDATE activity_moves m
    SET event_id = coalesce(v_move.event_id, m.event_id),
        occurred_at = coalesce(v_move.occurred_at, m.occurred_at), copied = v_rows < p_limit;
END $$;

CREATE OR REPLACE FUNCTION activity_move_finish(p_month date) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    v_index text;
BEGIN
    PERFORM activity_lock();
    ALTER TABLE activity_events DETACH PARTITION activity_events_default;
    EXECUTE format('ALTER TABLE activity_events_next RENAME TO %I', activity_month_name(p_month));
    PERFORM activity_month_attach(p_month);
    ALTER TABLE activity_events ATTACH PARTITION activity_events_default_next DEFAULT;
    ALTER TABLE activity_events_default_next DROP CONSTRAINT outside;
    DROP TABLE activity_events_default;
    ALTER TABLE activity_events_default_next RENAME TO activity_events_default;
    FOR v_index IN
        SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid IN ('activity_events_default'::regclass, activity_month_name(p_month)::regclass)
          AND c.relname ~ '^activity_events_(default_)?next_'
    LOOP
        EXECUTE format('ALTER INDEX %I RENAME TO %I', v_index,
                       regexp_replace(regexp_replace(v_index, '^activity_events_default_next_', 'activity_events_default_'),
                                      '^activity_events_next_', activity_month_name(p_month) || '_'));
    END LOOP;
    UPDATE activity_moves SET month = NULL, event_id = NULL, occurred_at = NULL, copied = false;
END $$;

CREATE OR REPLACE FUNCTION activity_move_abandon() RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    DROP TRIGGER IF EXISTS activity_mirror ON activity_events_default;
    DROP TRIGGER IF EXISTS activity_mirror_truncate ON activity_events_default;
    DROP TABLE IF EXISTS activity_events_next, activity_events_default_next;
    UPDATE activity_moves
    SET month = NULL, event_id = NULL, occurred_at = NULL, copied = false, broken = false;
END $$;

-- From the last month to so many ahead; and of the two years before (or as far back as they are kept)
-- those of which many events lie in the default partition.
CREATE OR REPLACE FUNCTION activity_month_wanted(p_ahead int, p_kept int) RETURNS date
    LANGUAGE plpgsql STABLE SECURITY DEFINER
AS $$
DECLARE
    v_month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
BEGIN
    RETURN coalesce(
        (SELECT month FROM activity_moves),
        (SELECT min(day)::date
         FROM generate_series(v_month - interval '1 month', v_month + p_ahead * interval '1 month',
                              interval '1 month') AS day
         WHERE to_regclass(activity_month_name(day::date)) IS NULL),
        (SELECT min(m.day)::date
         FROM (SELECT date_trunc('month', occurred_at AT TIME ZONE 'UTC') AS day
               FROM activity_events_default
               WHERE occurred_at < v_month AT TIME ZONE 'UTC'
                 AND occurred_at >= (v_month - interval '1 month'
                     * CASE WHEN p_kept BETWEEN 1 AND 24 THEN p_kept ELSE 24 END) AT TIME ZONE 'UTC'
               GROUP BY 1
               HAVING count(*) >= 10000) AS m));
END $$;

COMMENT ON FUNCTION activity_month_wanted(int, int) IS
    'The month for which make_activity_partition() is to be called next: of those from the last one to p_ahead from now, and of the earlier ones with many events in the default partition that are kept (p_kept months, 0: all); null if none needs it.';
COMMENT ON FUNCTION activity_month_at_once(date) IS
    'Inside of make_activity_partition(): makes a partition under a lock of the default one.';
COMMENT ON FUNCTION activity_month_attach(date) IS
    'Inside of make_activity_partition(): makes a table the partition of its month.';
COMMENT ON FUNCTION activity_move_begin(date) IS
    'Inside of make_activity_partition(): begins to sort out the default partition.';
COMMENT ON FUNCTION activity_move_copy(int) IS
    'Inside of make_activity_partition(): copies so many rows of the default partition.';
COMMENT ON FUNCTION activity_move_finish(date) IS
    'Inside of make_activity_partition(): exchanges the default partition for the copies.';
COMMENT ON FUNCTION activity_move_abandon() IS
    'Gives up what make_activity_partition() has begun: nothing is lost, the originals are all there.';

CREATE OR REPLACE FUNCTION make_activity_partition(p_day date, p_limit int DEFAULT 1000) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
AS $$
DECLARE
    v_move  activity_moves;
    v_month date := date_trunc('month', p_day::timestamp);
    v_here  bigint;
BEGIN
    SELECT * INTO v_move FROM activity_moves FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 'busy';
    END IF;
    IF v_move.broken THEN
        PERFORM activity_move_abandon();
        RETURN 'moving';
    END IF;
    IF v_move.month IS NOT NULL THEN
        IF NOT v_move.copied THEN
            PERFORM activity_move_copy(p_limit);
            RETURN 'moving';
        END IF;
        PERFORM activity_move_finish(v_move.month);
        RETURN activity_month_name(v_move.month);
    END IF;
    IF v_month IS NULL OR to_regclass(activity_month_name(v_month)) IS NOT NULL THEN
        RETURN NULL;
    END IF;
    -- As much as is read and moved in some milliseconds.
    IF pg_relation_size('activity_events_default') <= 4 * 1024 * 1024 THEN
        EXECUTE format('SELECT count(*) FROM (SELECT FROM activity_events_default WHERE %s LIMIT %s) AS here',
                       activity_month_within(v_month), p_limit) INTO v_here;
        IF v_here < p_limit THEN
            PERFORM activity_month_at_once(v_month);
            RETURN activity_month_name(v_month);
        END IF;
    END IF;
    PERFORM activity_move_begin(v_month);
    RETURN 'moving';
END $$;

COMMENT ON FUNCTION make_activity_partition(date, int) IS
    'One step, in a transaction of its own, towards a partition of activity_events for the month of that day: its name when it is there now, null if it was there before, ''moving'' if there is more to do (call it again), ''busy'' if somebody else is at it. Copies so many events in a step. Waits 50 ms for a lock at most: lock_not_available then, call it again.';

CREATE OR REPLACE FUNCTION drop_activity_partition(p_before date) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
AS $$
DECLARE
    v_name text;
BEGIN
    SELECT c.relname INTO v_name
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'activity_events'::regclass
      AND c.relname ~ '^activity_events_\d{4}_\d{2}$'
      AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= p_before
    ORDER BY c.relname
    LIMIT 1;
    IF v_name IS NULL THEN
        RETURN NULL;
    END IF;
    LOCK TABLE ONLY activity_events IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE NOWAIT', v_name);
    EXECUTE format('DROP TABLE %I', v_name);
    RETURN v_name;
END $$;

COMMENT ON FUNCTION drop_activity_partition(date) IS
    'Drops the oldest partition of activity_events that ends on or before that day; its name, or null if there is none. Waits 50 ms for a lock at most: lock_not_available then, call it again.';

REVOKE EXECUTE ON FUNCTION activity_month_wanted(int, int), make_activity_partition(date, int), drop_activity_partition(date),
    activity_lock(), activity_month_at_once(date), activity_month_attach(date), activity_move_begin(date),
    activity_move_copy(int), activity_move_finish(date), activity_move_abandon() FROM PUBLIC;

-- A definer's function must not look where its caller says, nor read times as its caller writes them.
DO $$
DECLARE
    v_function regprocedure;
BEGIN
    FOREACH v_function IN ARRAY ARRAY[
        'activity_events_mirror()', 'activity_lock()', 'activity_month_at_once(date)', 'activity_month_attach(date)',
        'activity_move_begin(date)', 'activity_move_copy(int)', 'activity_move_finish(date)',
        'activity_move_abandon()', 'activity_month_wanted(int, int)', 'make_activity_partition(date, int)',
        'drop_activity_partition(date)']::regprocedure[]
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', v_function, current_schema());
    END LOOP;
    FOREACH v_function IN ARRAY ARRAY[
        'make_activity_partition(date, int)', 'drop_activity_partition(date)']::regprocedure[]
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET lock_timeout = ''50ms''', v_function);
        EXECUTE format('ALTER FUNCTION %s SET timezone = ''UTC''', v_function);
        EXECUTE format('ALTER FUNCTION %s SET datestyle = ''ISO''', v_function);
    END LOOP;
    -- A batch is the next rows of the key's index, whatever the statistics of the table say.
    ALTER FUNCTION activity_move_copy(int) SET enable_seqscan = off;
    ALTER FUNCTION activity_move_copy(int) SET enable_bitmapscan = off;
    ALTER FUNCTION activity_move_copy(int) SET enable_sort = off;
END $$;

-- migrate:down

DO $$
BEGIN
    IF to_regprocedure('activity_move_abandon()') IS NOT NULL THEN
        PERFORM activity_move_abandon();
    END IF;
END $$;
DROP FUNCTION IF EXISTS drop_activity_partition(date);
DROP FUNCTION IF EXISTS activity_month_wanted(int, int);
DROP FUNCTION IF EXISTS make_activity_partition(date, int);
DROP FUNCTION IF EXISTS activity_move_abandon();
DROP FUNCTION IF EXISTS activity_move_finish(date);
DROP FUNCTION IF EXISTS activity_move_copy(int);
DROP FUNCTION IF EXISTS activity_move_begin(date);
DROP FUNCTION IF EXISTS activity_month_attach(date);
DROP FUNCTION IF EXISTS activity_month_at_once(date);
DROP FUNCTION IF EXISTS activity_lock();
DROP FUNCTION IF EXISTS activity_month_name(date);
DROP FUNCTION IF EXISTS activity_month_within(date);
DROP FUNCTION IF EXISTS activity_events_mirror();
