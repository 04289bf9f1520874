-- What the application may call and read; db/repeatable fills this schema.

-- migrate:up
CREATE SCHEMA IF NOT EXISTS api;
COMMENT ON SCHEMA api IS 'Views and functions for the application.';
GRANT USAGE ON SCHEMA api TO shop_reader, shop_app, shop_customer;

-- migrate:down
-- With everything that the repeatable files have put into it, and the triggers that call it.
DROP SCHEMA IF EXISTS api CASCADE;
