-- PostgreSQL has no CREATE TYPE IF NOT EXISTS: each type is guarded by a look into the catalog.

-- migrate:up
DO $$
BEGIN
    IF to_regtype('public.order_status') IS NULL THEN
        CREATE TYPE order_status AS ENUM ('draft', 'placed', 'paid', 'shipped', 'delivered', 'cancelled');
    END IF;
    IF to_regtype('public.payment_method') IS NULL THEN
        CREATE TYPE payment_method AS ENUM ('card', 'bank_transfer');
    END IF;
    IF to_regtype('public.money_amount') IS NULL THEN
        CREATE DOMAIN money_amount AS numeric(12, 2) CONSTRAINT money_amount_not_negative CHECK (VALUE >= 0);
    END IF;
    IF to_regtype('public.sku_code') IS NULL THEN
        CREATE DOMAIN sku_code AS text CONSTRAINT sku_code_format CHECK (VALUE ~ '^[A-Z0-9]+(-[A-Z0-9]+)*$');
    END IF;
    IF to_regtype('public.postal_address') IS NULL THEN
        CREATE TYPE postal_address AS (street text, city text, postcode text, country_code char(2));
    END IF;
END
$$;
COMMENT ON TYPE order_status IS 'Where an order stands, in the order in which it happens.';
COMMENT ON TYPE payment_method IS 'How a customer pays.';
COMMENT ON DOMAIN money_amount IS 'An amount of money; its currency stands beside it.';
COMMENT ON DOMAIN sku_code IS 'Stock keeping unit: capitals and digits, in groups joined by hyphens.';
COMMENT ON TYPE postal_address IS 'A postal address as it is printed on a parcel.';

-- migrate:down
DROP TYPE IF EXISTS postal_address;
DROP DOMAIN IF EXISTS sku_code;
DROP DOMAIN IF EXISTS money_amount;
DROP TYPE IF EXISTS payment_method;
DROP TYPE IF EXISTS order_status;
