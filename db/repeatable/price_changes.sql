-- One statement, one pass: a transition table sees all the prices that an UPDATE has changed.
CREATE OR REPLACE FUNCTION api.record_price_changes() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO public.price_changes (product_id, old_price, new_price)
    SELECT n.id, o.unit_price, n.unit_price
    FROM old_rows o
    JOIN new_rows n ON n.id = o.id
    WHERE n.unit_price <> o.unit_price
    ORDER BY n.id;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION api.record_price_changes() IS 'Trigger: notes changes of prices.';

CREATE OR REPLACE TRIGGER products_record_price_changes AFTER UPDATE ON products
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION api.record_price_changes();
