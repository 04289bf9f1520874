-- needs contrib: pg_trgm
CREATE OR REPLACE FUNCTION api.suggest_products(typed text)
RETURNS TABLE (product_id bigint, name text)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT p.id, p.name
    FROM public.products p
    WHERE p.name OPERATOR(public.%) typed AND p.discontinued_on IS NULL
    ORDER BY public.similarity(p.name, typed) DESC, p.id
    LIMIT 10;
END;
COMMENT ON FUNCTION api.suggest_products(text) IS 'Products whose name resembles what was typed.';
