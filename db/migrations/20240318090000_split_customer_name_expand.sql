-- customers.full_name is split into given_name and family_name, step 1 of 3: all three exist, a trigger keeps them
-- in step. The last word is taken as the family name.

-- migrate:up
DO $migration$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'customers'::regclass AND attname = 'full_name' AND NOT attisdropped
    ) THEN
        RETURN; -- step 3 was here already
    END IF;

    ALTER TABLE customers ADD COLUMN IF NOT EXISTS given_name text;
    ALTER TABLE customers ADD COLUMN IF NOT EXISTS family_name text;

    CREATE OR REPLACE FUNCTION customers_sync_name() RETURNS trigger
    LANGUAGE plpgsql
    AS $function$
    BEGIN
        IF NEW.family_name IS NULL OR (TG_OP = 'UPDATE' AND NEW.full_name IS DISTINCT FROM OLD.full_name) THEN
            NEW.given_name := trim(regexp_replace(NEW.full_name, '\S+\s*$', ''));
            NEW.family_name := substring(NEW.full_name FROM '(\S+)\s*$');
        ELSE
            NEW.full_name := trim(concat_ws(' ', NEW.given_name, NEW.family_name));
        END IF;
        RETURN NEW;
    END
    $function$;

    CREATE OR REPLACE TRIGGER customers_sync_name BEFORE INSERT OR UPDATE ON customers
        FOR EACH ROW EXECUTE FUNCTION customers_sync_name();
END
$migration$;
COMMENT ON COLUMN customers.given_name IS 'Given names; empty for people who have one name only.';
COMMENT ON COLUMN customers.family_name IS 'Family name; what lists are sorted by.';

-- migrate:down
DROP TRIGGER IF EXISTS customers_sync_name ON customers;
DROP FUNCTION IF EXISTS customers_sync_name();
ALTER TABLE customers DROP COLUMN IF EXISTS family_name, DROP COLUMN IF EXISTS given_name;
