-- {{column_comment}} is split in two, step 1 of 3: all three columns exist and a trigger keeps them in step. Fit the
-- expressions to your values: here the first word is one part and the rest the other.

-- migrate:up
DO $migration$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = '{{table_literal}}'::regclass AND attname = '{{column_name}}' AND NOT attisdropped
    ) THEN
        RETURN; -- the last step was here already
    END IF;

    ALTER TABLE {{table}} ADD COLUMN IF NOT EXISTS {{first}} {{type}};
    ALTER TABLE {{table}} ADD COLUMN IF NOT EXISTS {{second}} {{type}};

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
END
$migration$;

-- migrate:down
DROP TRIGGER IF EXISTS {{sync_trigger}} ON {{table}};
DROP FUNCTION IF EXISTS {{sync}}();
ALTER TABLE {{table}} DROP COLUMN IF EXISTS {{second}}, DROP COLUMN IF EXISTS {{first}};
