-- A batch in each transaction: neither a long lock nor a bloated table.

-- migrate:up transaction:false
DO $$
BEGIN
    LOOP
        UPDATE orders
        SET total_amount = (SELECT coalesce(sum(line_total), 0) FROM order_items WHERE order_id = orders.id)
        WHERE id IN (SELECT id FROM orders WHERE total_amount IS NULL ORDER BY id LIMIT 1000);
        EXIT WHEN NOT FOUND;
        COMMIT;
    END LOOP;
END
$$;

-- migrate:down
-- The column that was filled goes with the migration that added it; nothing to undo here.
SELECT 1;
