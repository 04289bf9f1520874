-- {{column_comment}} becomes {{to_comment}}, step 3 of 3. Deploy it once nothing reads or writes the old column any more.

-- migrate:up
DO $migration$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = '{{table_literal}}'::regclass AND attname = '{{column_name}}' AND NOT attisdropped
    ) THEN
        RETURN; -- the last step was here already
    END IF;
    IF EXISTS (SELECT FROM {{table}} WHERE {{to}} IS DISTINCT FROM {{column}}) THEN
        RAISE EXCEPTION 'the two columns differ: step 2 has not filled every row';
    END IF;
    DROP TRIGGER IF EXISTS {{sync_trigger}} ON {{table}};
    DROP FUNCTION IF EXISTS {{sync}}();
    ALTER TABLE {{table}} DROP COLUMN {{column}};
END
$migration$;

-- migrate:down
ALTER TABLE {{table}} ADD COLUMN IF NOT EXISTS {{column}} {{type}};
UPDATE {{table}} SET {{column}} = {{to}} WHERE {{column}} IS DISTINCT FROM {{to}};

CREATE OR REPLACE FUNCTION {{sync}}() RETURNS trigger
LANGUAGE plpgsql
AS $function$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.{{to}} := coalesce(NEW.{{to}}, NEW.{{column}});
        NEW.{{column}} := coalesce(NEW.{{column}}, NEW.{{to}});
    ELSIF NEW.{{column}} IS DISTINCT FROM OLD.{{column}} THEN
        NEW.{{to}} := NEW.{{column}};
    ELSIF NEW.{{to}} IS DISTINCT FROM OLD.{{to}} THEN
        NEW.{{column}} := NEW.{{to}};
    END IF;
    RETURN NEW;
END
$function$;
CREATE OR REPLACE TRIGGER {{sync_trigger}} BEFORE INSERT OR UPDATE ON {{table}}
    FOR EACH ROW EXECUTE FUNCTION {{sync}}();
