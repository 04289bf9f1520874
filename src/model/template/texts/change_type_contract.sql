-- {{column_comment}} gets another type, step 3 of 3: the new column takes the place of the old. Deploy it once the application
-- can read the new type under the old name.

-- migrate:up
DO $migration$
BEGIN
    IF EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = '{{table_literal}}'::regclass AND attname = '{{column_name}}' AND NOT attisdropped
            AND atttypid = '{{type_literal}}'::regtype
    ) THEN
        RETURN; -- the last step was here already
    END IF;
    IF EXISTS (SELECT FROM {{table}} WHERE {{to}} IS DISTINCT FROM {{column}}::{{type}}) THEN
        RAISE EXCEPTION 'the two columns differ: step 2 has not filled every row';
    END IF;
    DROP TRIGGER IF EXISTS {{sync_trigger}} ON {{table}};
    DROP FUNCTION IF EXISTS {{sync}}();
    ALTER TABLE {{table}} DROP COLUMN {{column}};
    ALTER TABLE {{table}} RENAME COLUMN {{to}} TO {{column}};
END
$migration$;

-- migrate:down
ALTER TABLE {{table}} RENAME COLUMN {{column}} TO {{to}};
ALTER TABLE {{table}} ADD COLUMN {{column}} {{old_type}};
UPDATE {{table}} SET {{column}} = {{to}}::{{old_type}} WHERE {{to}} IS NOT NULL;

CREATE OR REPLACE FUNCTION {{sync}}() RETURNS trigger
LANGUAGE plpgsql
AS $function$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.{{to}} := coalesce(NEW.{{to}}, NEW.{{column}}::{{type}});
        NEW.{{column}} := coalesce(NEW.{{column}}, NEW.{{to}}::{{old_type}});
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
