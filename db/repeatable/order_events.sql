-- Writes down every change of the status of an order.
CREATE OR REPLACE FUNCTION api.record_order_event() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO public.order_events (order_id, old_status, new_status) VALUES (NEW.id, OLD.status, NEW.status);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION api.record_order_event() IS 'Trigger: notes a change of status.';

CREATE OR REPLACE TRIGGER orders_record_event AFTER UPDATE OF status ON orders
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION api.record_order_event();
