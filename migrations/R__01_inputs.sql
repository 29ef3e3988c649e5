-- What the functions for synchronous callers take: the decoder's rules, said in SQL.
--
-- Each gives null, or no reasons, instead of an error, so that one bad input is a row among the
-- others. Bodies of the form RETURN … are bound when they are made: no search_path can bend them.

-- migrate:up

CREATE OR REPLACE FUNCTION attempt_uuid(p_text text) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN p_text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
                 AND p_text <> '00000000-0000-0000-0000-000000000000'
            THEN p_text::uuid END;

COMMENT ON FUNCTION attempt_uuid(text) IS
    'The UUID, if the text is one in canonical lower-case form and not the nil UUID; else null.';

CREATE OR REPLACE FUNCTION attempt_version(p_value jsonb) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN jsonb_typeof(p_value) = 'number' AND p_value::text ~ '^[1-9][0-9]{0,18}$'
            THEN CASE WHEN p_value::text::numeric <= 9223372036854775806
                      THEN p_value::text::bigint END END;

COMMENT ON FUNCTION attempt_version(jsonb) IS
    'The expected version, if it is an integer from 1 to 2^63 - 2; else null.';

-- Without a cast that could fail: the day is checked against its month, and the offset (up to
-- 23:59, beyond what PostgreSQL's own input takes) is subtracted. A seventh digit is cut off.
CREATE OR REPLACE FUNCTION attempt_time(p_text text) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN p_text ~ '^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$'
    THEN CASE
        WHEN substr(p_text, 9, 2)::int <= CASE substr(p_text, 6, 2)
                 WHEN '02' THEN CASE WHEN substr(p_text, 1, 4)::int % 4 = 0 THEN 29 ELSE 28 END
                 WHEN '04' THEN 30 WHEN '06' THEN 30 WHEN '09' THEN 30 WHEN '11' THEN 30
                 ELSE 31 END
        THEN make_timestamptz(substr(p_text, 1, 4)::int, substr(p_text, 6, 2)::int,
                              substr(p_text, 9, 2)::int, substr(p_text, 12, 2)::int,
                              substr(p_text, 15, 2)::int, substr(p_text, 18, 2)::int, 'UTC')
             + rpad(coalesce(substring(p_text FROM '\.([0-9]{1,6})'), ''), 6, '0')::int
               * interval '1 microsecond'
             - CASE WHEN p_text LIKE '%Z' THEN interval '0'
                    ELSE right(p_text, 5)::interval * CASE substr(right(p_text, 6), 1, 1)
                                                          WHEN '-' THEN -1 ELSE 1 END END
        END
    END;

COMMENT ON FUNCTION attempt_time(text) IS
    'The time, if the text is RFC 3339 as events write it (upper-case T and Z or an offset, years 2000 to 2099, microseconds kept); else null.';

-- p_levels: how deep below itself the value may hold arrays and objects.
CREATE OR REPLACE FUNCTION attempt_json_reasons(p_value jsonb, p_levels int) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    v_bytes   int := octet_length(p_value::text);
    v_reasons text[] := '{}';
BEGIN
    IF v_bytes > 1048576 THEN
        v_reasons := v_reasons || 'too_large'::text;
    END IF;
    -- The two that look into every corner are only worth asking where the text has the room.
    IF v_bytes > 2 * p_levels AND jsonb_path_exists(p_value,
           format('strict $.**{%s to last} ? (@.type() == "object" || @.type() == "array")', p_levels + 1)::jsonpath) THEN
        v_reasons := v_reasons || 'too_deep'::text;
    END IF;
    -- 1000 digits and an exponent of ±1000 are at most so many digits in full.
    IF v_bytes > 2003 AND EXISTS (
           SELECT FROM jsonb_path_query(p_value, 'strict $.** ? (@.type() == "number")') AS n
           WHERE octet_length(n::text) > 2003) THEN
        v_reasons := v_reasons || 'number_too_long'::text;
    END IF;
    RETURN v_reasons;
END $$;

COMMENT ON FUNCTION attempt_json_reasons(jsonb, int) IS
    'Why a JSON value is beyond the decoder''s limits: too_large, too_deep, number_too_long; empty if it is not.';

CREATE OR REPLACE FUNCTION attempt_answers_reasons(p_answers jsonb) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    v_keys    bigint;
    v_wrong   boolean;
    v_reasons text[];
BEGIN
    IF jsonb_typeof(p_answers) <> 'object' THEN
        RETURN '{not_an_object}';
    END IF;
    v_reasons := attempt_json_reasons(p_answers, 30);
    SELECT count(*), bool_or(octet_length(key) NOT BETWEEN 1 AND 256) INTO v_keys, v_wrong
    FROM jsonb_object_keys(p_answers) AS key;
    IF v_keys > 5000 THEN
        v_reasons := v_reasons || 'too_many_answers'::text;
    END IF;
    IF v_wrong THEN
        v_reasons := v_reasons || 'question_id_length'::text;
    END IF;
    RETURN v_reasons;
END $$;

COMMENT ON FUNCTION attempt_answers_reasons(jsonb) IS
    'Why answers are beyond the decoder''s limits: not_an_object, too_many_answers (5,000), question_id_length (1 to 256 bytes), and those of attempt_json_reasons(); empty if they are not.';

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION attempt_json_reasons(jsonb, int) SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION attempt_answers_reasons(jsonb) SET search_path = %I, pg_temp', current_schema());
END $$;

-- migrate:down

DROP FUNCTION IF EXISTS attempt_answers_reasons(jsonb);
DROP FUNCTION IF EXISTS attempt_json_reasons(jsonb, int);
DROP FUNCTION IF EXISTS attempt_time(text);
DROP FUNCTION IF EXISTS attempt_version(jsonb);
DROP FUNCTION IF EXISTS attempt_uuid(text);
