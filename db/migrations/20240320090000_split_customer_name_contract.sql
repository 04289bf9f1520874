-- customers.full_name is split into given_name and family_name, step 3 of 3, once nothing reads full_name any more.

-- migrate:up
ALTER TABLE customers ALTER COLUMN given_name SET NOT NULL, ALTER COLUMN family_name SET NOT NULL;
DROP TRIGGER IF EXISTS customers_sync_name ON customers;
DROP FUNCTION IF EXISTS customers_sync_name();
ALTER TABLE customers DROP COLUMN IF EXISTS full_name;
CREATE INDEX IF NOT EXISTS customers_family_name_idx ON customers (lower(family_name), lower(given_name));

-- migrate:down
DROP INDEX IF EXISTS customers_family_name_idx;
ALTER TABLE customers ADD COLUMN IF NOT EXISTS full_name text;
COMMENT ON COLUMN customers.full_name IS 'Name as the customer writes it.';
UPDATE customers SET full_name = trim(concat_ws(' ', given_name, family_name)) WHERE full_name IS NULL;
ALTER TABLE customers
    ALTER COLUMN full_name SET NOT NULL,
    ALTER COLUMN given_name DROP NOT NULL,
    ALTER COLUMN family_name DROP NOT NULL;

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
