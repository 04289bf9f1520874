-- products.title becomes products.name, step 1 of 3: both columns exist and a trigger keeps them equal,
-- so that the old and the new application can run side by side.

-- migrate:up
DO $migration$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'products'::regclass AND attname = 'title' AND NOT attisdropped
    ) THEN
        RETURN; -- step 3 was here already
    END IF;

    ALTER TABLE products ADD COLUMN IF NOT EXISTS name text;

    CREATE OR REPLACE FUNCTION products_sync_name() RETURNS trigger
    LANGUAGE plpgsql
    AS $function$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            NEW.name := coalesce(NEW.name, NEW.title);
            NEW.title := coalesce(NEW.title, NEW.name);
        ELSIF NEW.title IS DISTINCT FROM OLD.title THEN
            NEW.name := NEW.title;
        ELSE
            NEW.title := coalesce(NEW.name, NEW.title);
        END IF;
        RETURN NEW;
    END
    $function$;

    CREATE OR REPLACE TRIGGER products_sync_name BEFORE INSERT OR UPDATE ON products
        FOR EACH ROW EXECUTE FUNCTION products_sync_name();
END
$migration$;
COMMENT ON COLUMN products.name IS 'Name shown to customers.';

-- migrate:down
DROP TRIGGER IF EXISTS products_sync_name ON products;
DROP FUNCTION IF EXISTS products_sync_name();
ALTER TABLE products DROP COLUMN IF EXISTS name;
