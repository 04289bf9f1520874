-- A function that no table depends on is easier to change as a repeatable file (db/repeatable). Names in the body are qualified:
-- it must not matter whose search path it runs under.

-- migrate:up
CREATE OR REPLACE FUNCTION {{object}}(wanted bigint) RETURNS {{type}}
LANGUAGE plpgsql STABLE
AS $function$
DECLARE
    found_value {{type}};
BEGIN
    SELECT t.{{column}} INTO found_value FROM {{table}} t WHERE t.{{key}} = wanted;
    RETURN found_value;
END
$function$;
COMMENT ON FUNCTION {{object}}(bigint) IS 'Say what it gives, and when null.';

-- migrate:down
DROP FUNCTION IF EXISTS {{object}}(bigint);
