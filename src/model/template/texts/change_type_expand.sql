-- {{column_comment}} gets another type without a rewrite under lock, step 1 of 3: a second column of the new type, and a
-- trigger that keeps both equal. (A longer varchar or numeric needs none of this: ALTER TYPE is quick there.)
-- Defaults, constraints and indexes of the old column: add them here for the new.

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

    ALTER TABLE {{table}} ADD COLUMN IF NOT EXISTS {{to}} {{type}};

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
END
$migration$;

-- migrate:down
DROP TRIGGER IF EXISTS {{sync_trigger}} ON {{table}};
DROP FUNCTION IF EXISTS {{sync}}();
ALTER TABLE {{table}} DROP COLUMN IF EXISTS {{to}};
