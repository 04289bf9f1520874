CREATE OR REPLACE FUNCTION api.place_order(wanted bigint) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    lacking text;
BEGIN
    SELECT string_agg(p.sku, ', ' ORDER BY p.sku) INTO lacking
    FROM public.order_items i
    JOIN public.products p ON p.id = i.product_id
    JOIN public.stock_overview s ON s.product_id = i.product_id
    WHERE i.order_id = wanted AND s.available < i.quantity;
    IF lacking IS NOT NULL THEN
        RAISE EXCEPTION 'not in stock: %', lacking USING ERRCODE = 'check_violation';
    END IF;

    UPDATE public.orders SET status = 'placed', placed_at = now() WHERE id = wanted AND status = 'draft';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'order % is not a draft', wanted USING ERRCODE = 'no_data_found';
    END IF;
END
$$;
COMMENT ON FUNCTION api.place_order(bigint) IS 'Turns a basket into an order; fails if something is not in stock.';
