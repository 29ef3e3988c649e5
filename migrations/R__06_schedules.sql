-- How schedules are read. 0005 brought these two; here is what has been mended since: white space of
-- any kind around and between the fields (a tab in front made an empty field, a schedule that was
-- never due), and only ASCII digits.

-- migrate:up

CREATE OR REPLACE FUNCTION cron_field(p_field text, p_min int, p_max int) RETURNS int[]
    LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
DECLARE
    v_part  text;
    v_parts text[];
    v_from  int;
    v_until int;
    v_all   int[] := '{}';
BEGIN
    FOREACH v_part IN ARRAY regexp_split_to_array(p_field, ',') LOOP
        v_parts := regexp_match(v_part, '^(\*|[0-9]{1,2})(?:-([0-9]{1,2}))?(?:/([0-9]{1,2}))?$');
        v_from := CASE WHEN v_parts[1] = '*' THEN p_min ELSE v_parts[1]::int END;
        v_until := CASE WHEN v_parts[2] IS NOT NULL THEN v_parts[2]::int
                        WHEN v_parts[1] = '*' OR v_parts[3] IS NOT NULL THEN p_max
                        ELSE v_from END;
        IF v_parts IS NULL OR v_from < p_min OR v_until > p_max OR v_from > v_until
           OR v_parts[3]::int = 0 OR (v_parts[1] = '*' AND v_parts[2] IS NOT NULL) THEN
            RAISE EXCEPTION 'cron: % is no list of numbers from % to %', quote_literal(v_part), p_min, p_max
                USING errcode = 'invalid_parameter_value',
                      hint = 'A field is *, a number, a range as 1-5, each with a step as */15, or several of these with commas.';
        END IF;
        v_all := v_all || ARRAY(SELECT generate_series(v_from, v_until, coalesce(v_parts[3]::int, 1)));
    END LOOP;
    RETURN v_all;
END $$;

CREATE OR REPLACE FUNCTION cron_due(p_cron text, p_since timestamptz, p_until timestamptz) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
DECLARE
    v_fields   text[] := regexp_split_to_array(
        regexp_replace(p_cron, '^[ \t\n\r\f\v]+|[ \t\n\r\f\v]+$', '', 'g'), '[ \t\n\r\f\v]+');
    v_minutes  int[];
    v_hours    int[];
    v_days     int[];
    v_months   int[];
    v_weekdays int[];
    v_any_day  boolean;
    v_first    timestamp;
BEGIN
    IF cardinality(v_fields) <> 5 THEN
        RAISE EXCEPTION 'cron: % has not five fields', quote_literal(p_cron)
            USING errcode = 'invalid_parameter_value',
                  hint = 'The fields are minute hour day month weekday, in UTC: 0 3 * * 1-5.';
    END IF;
    v_minutes  := cron_field(v_fields[1], 0, 59);
    v_hours    := cron_field(v_fields[2], 0, 23);
    v_days     := cron_field(v_fields[3], 1, 31);
    v_months   := cron_field(v_fields[4], 1, 12);
    v_weekdays := cron_field(v_fields[5], 0, 7);
    -- cron's rule: with both a day and a weekday given, either will do.
    v_any_day  := v_fields[3] LIKE '*%' OR v_fields[5] LIKE '*%';
    v_first := date_trunc('minute', greatest(p_since, p_until - interval '31 days') AT TIME ZONE 'UTC')
               + interval '1 minute';
    RETURN EXISTS (
        SELECT
        FROM generate_series(v_first, p_until AT TIME ZONE 'UTC', interval '1 minute') AS t
        CROSS JOIN LATERAL (SELECT extract(day FROM t)::int = ANY (v_days) AS day,
                                   extract(dow FROM t)::int = ANY (v_weekdays)
                                   OR extract(isodow FROM t)::int = ANY (v_weekdays) AS weekday) AS d
        WHERE extract(minute FROM t)::int = ANY (v_minutes)
          AND extract(hour FROM t)::int = ANY (v_hours)
          AND extract(month FROM t)::int = ANY (v_months)
          AND CASE WHEN v_any_day THEN d.day AND d.weekday ELSE d.day OR d.weekday END);
END $$;

-- migrate:down

-- The constraint of view_schedules needs both; 0005 takes them away with the table.
COMMENT ON FUNCTION cron_due(text, timestamptz, timestamptz) IS
    'Whether the schedule (UTC) has a time after p_since, not after p_until; it looks back 31 days at most.';
COMMENT ON FUNCTION cron_field(text, int, int) IS
    'The numbers that one field of a schedule stands for.';
