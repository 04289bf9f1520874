-- products.title becomes products.name, step 2 of 3: fill the rows written before step 1, a batch in each
-- transaction, so that no lock lasts.

-- migrate:up transaction:false
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'products'::regclass AND attname = 'title' AND NOT attisdropped
    ) THEN
        RETURN; -- step 3 was here already
    END IF;
    LOOP
        UPDATE products SET name = title
        WHERE id IN (SELECT id FROM products WHERE name IS NULL ORDER BY id LIMIT 1000);
        EXIT WHEN NOT FOUND;
        COMMIT;
    END LOOP;
END
$$;

-- migrate:down
-- The column that was filled goes with step 1; nothing to undo here.
SELECT 1;
