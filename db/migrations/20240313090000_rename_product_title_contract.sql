-- products.title becomes products.name, step 3 of 3, once no application reads title any more.

-- migrate:up
ALTER TABLE products ALTER COLUMN name SET NOT NULL;
DROP TRIGGER IF EXISTS products_sync_name ON products;
DROP FUNCTION IF EXISTS products_sync_name();
ALTER TABLE products DROP COLUMN IF EXISTS title;

-- migrate:down
ALTER TABLE products ADD COLUMN IF NOT EXISTS title text;
COMMENT ON COLUMN products.title IS 'Name shown to customers.';
UPDATE products SET title = name WHERE title IS NULL;
ALTER TABLE products ALTER COLUMN title SET NOT NULL, ALTER COLUMN name DROP NOT NULL;

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
