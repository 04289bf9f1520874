-- {{column_comment}} is split in two, step 3 of 3. Deploy it once nothing reads or writes the old column any more.

-- migrate:up
DO $migration$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = '{{table_literal}}'::regclass AND attname = '{{column_name}}' AND NOT attisdropped
    ) THEN
        RETURN; -- the last step was here already
    END IF;
    IF EXISTS (SELECT FROM {{table}} WHERE {{first}} IS NULL AND {{column}} IS NOT NULL) THEN
        RAISE EXCEPTION 'the new columns are not filled: step 2 has not seen every row';
    END IF;
    DROP TRIGGER IF EXISTS {{sync_trigger}} ON {{table}};
    DROP FUNCTION IF EXISTS {{sync}}();
    ALTER TABLE {{table}} DROP COLUMN {{column}};
END
$migration$;

-- migrate:down
ALTER TABLE {{table}} ADD COLUMN IF NOT EXISTS {{column}} {{type}};
UPDATE {{table}} SET {{column}} = trim(concat_ws(' ', {{first}}, {{second}}))
WHERE {{column}} IS NULL AND {{first}} IS NOT NULL;

CREATE OR REPLACE FUNCTION {{sync}}() RETURNS trigger
LANGUAGE plpgsql
AS $function$
BEGIN
    IF (NEW.{{first}} IS NULL AND NEW.{{second}} IS NULL)
        OR (TG_OP = 'UPDATE' AND NEW.{{column}} IS DISTINCT FROM OLD.{{column}}) THEN
        NEW.{{first}} := split_part(NEW.{{column}}, ' ', 1);
        NEW.{{second}} := ltrim(substr(NEW.{{column}}, length(split_part(NEW.{{column}}, ' ', 1)) + 1));
    ELSE
        NEW.{{column}} := trim(concat_ws(' ', NEW.{{first}}, NEW.{{second}}));
    END IF;
    RETURN NEW;
END
$function$;
CREATE OR REPLACE TRIGGER {{sync_trigger}} BEFORE INSERT OR UPDATE ON {{table}}
    FOR EACH ROW EXECUTE FUNCTION {{sync}}();
