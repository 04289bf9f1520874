CREATE OR REPLACE FUNCTION api.search_products(wanted text)
RETURNS TABLE (product_id bigint, name text, rank real)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT p.id, p.name, ts_rank(p.search_vector, q.query)
    FROM public.products p, websearch_to_tsquery('english', wanted) AS q (query)
    WHERE p.search_vector @@ q.query AND p.discontinued_on IS NULL
    ORDER BY 3 DESC, 1;
END;
COMMENT ON FUNCTION api.search_products(text) IS 'Full text search in names and descriptions, best first.';
