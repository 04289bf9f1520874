-- {{column_comment}} becomes {{to_comment}}, step 1 of 3: both columns exist and a trigger keeps them equal, so that the old and
-- the new application run side by side. Defaults, constraints and indexes of the old column: add them here for the new.

-- migrate:up
DO $migration$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = '{{table_literal}}'::regclass AND attname = '{{column_name}}' AND NOT attisdropped
    ) THEN
        RETURN; -- the last step was here already
    END IF;

    ALTER TABLE {{table}} ADD COLUMN IF NOT EXISTS {{to}} {{type}};

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
END
$migration$;

-- migrate:down
DROP TRIGGER IF EXISTS {{sync_trigger}} ON {{table}};
DROP FUNCTION IF EXISTS {{sync}}();
ALTER TABLE {{table}} DROP COLUMN IF EXISTS {{to}};
