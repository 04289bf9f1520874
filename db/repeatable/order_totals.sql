-- Keeps orders.total_amount equal to the sum of the lines.
CREATE OR REPLACE FUNCTION api.refresh_order_total() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    touched bigint := CASE TG_OP WHEN 'DELETE' THEN OLD.order_id ELSE NEW.order_id END;
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.order_id <> NEW.order_id THEN
        UPDATE public.orders o
        SET total_amount = (SELECT coalesce(sum(line_total), 0) FROM public.order_items WHERE order_id = o.id)
        WHERE o.id = OLD.order_id;
    END IF;
    UPDATE public.orders o
    SET total_amount = (SELECT coalesce(sum(line_total), 0) FROM public.order_items WHERE order_id = o.id)
    WHERE o.id = touched;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION api.refresh_order_total() IS 'Trigger: sums the lines of an order.';

CREATE OR REPLACE TRIGGER order_items_refresh_total AFTER INSERT OR DELETE OR UPDATE OF order_id, quantity, unit_price
    ON order_items FOR EACH ROW EXECUTE FUNCTION api.refresh_order_total();
