-- Last in name order, so that the views and functions of the other files exist. Granting again changes nothing.
GRANT SELECT ON ALL TABLES IN SCHEMA public, api TO shop_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO shop_app;
GRANT SELECT ON ALL TABLES IN SCHEMA api TO shop_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO shop_app;
REVOKE EXECUTE ON FUNCTION api.place_order(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.place_order(bigint) TO shop_app;
GRANT SELECT ON api.order_summary TO shop_customer;
