-- dbbuild baseline: generated, never edited by hand; `dbbuild baseline` makes it again.
-- dbbuild:format 1
-- dbbuild:postgres 15
-- dbbuild:inputs 90ef58c985c1d6edde44022e6327f70ac8a1ac2f6b2767a0d2627222eecca0a6

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;

--
-- Name: shop_app; Type: ROLE; Schema: -
--

DO $dbbuild$
BEGIN
IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'shop_app') THEN
    CREATE ROLE "shop_app";
END IF;
END
$dbbuild$;

--
-- Name: shop_customer; Type: ROLE; Schema: -
--

DO $dbbuild$
BEGIN
IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'shop_customer') THEN
    CREATE ROLE "shop_customer";
END IF;
END
$dbbuild$;

--
-- Name: shop_reader; Type: ROLE; Schema: -
--

DO $dbbuild$
BEGIN
IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'shop_reader') THEN
    CREATE ROLE "shop_reader";
END IF;
END
$dbbuild$;

--
-- Name: api; Type: SCHEMA; Schema: -
--

CREATE SCHEMA api;

--
-- Name: SCHEMA api; Type: COMMENT; Schema: -
--

COMMENT ON SCHEMA api IS 'Views and functions for the application.';

--
-- Name: btree_gist; Type: EXTENSION; Schema: -
--

CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA public;

--
-- Name: citext; Type: EXTENSION; Schema: -
--

CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;

--
-- Name: hstore; Type: EXTENSION; Schema: -
--

CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA public;

--
-- Name: ltree; Type: EXTENSION; Schema: -
--

CREATE EXTENSION IF NOT EXISTS ltree WITH SCHEMA public;

--
-- Name: pg_trgm; Type: EXTENSION; Schema: -
--

CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;

--
-- Name: money_amount; Type: DOMAIN; Schema: public
--

CREATE DOMAIN public.money_amount AS numeric(12,2)
	CONSTRAINT money_amount_not_negative CHECK ((VALUE >= (0)::numeric));

--
-- Name: DOMAIN money_amount; Type: COMMENT; Schema: public
--

COMMENT ON DOMAIN public.money_amount IS 'An amount of money; its currency stands beside it.';

--
-- Name: order_status; Type: TYPE; Schema: public
--

CREATE TYPE public.order_status AS ENUM (
    'draft',
    'placed',
    'paid',
    'shipped',
    'delivered',
    'cancelled'
);

--
-- Name: TYPE order_status; Type: COMMENT; Schema: public
--

COMMENT ON TYPE public.order_status IS 'Where an order stands, in the order in which it happens.';

--
-- Name: payment_method; Type: TYPE; Schema: public
--

CREATE TYPE public.payment_method AS ENUM (
    'card',
    'wallet',
    'bank_transfer'
);

--
-- Name: TYPE payment_method; Type: COMMENT; Schema: public
--

COMMENT ON TYPE public.payment_method IS 'How a customer pays.';

--
-- Name: postal_address; Type: TYPE; Schema: public
--

CREATE TYPE public.postal_address AS (
	street text,
	city text,
	postcode text,
	country_code character(2)
);

--
-- Name: TYPE postal_address; Type: COMMENT; Schema: public
--

COMMENT ON TYPE public.postal_address IS 'A postal address as it is printed on a parcel.';

--
-- Name: sku_code; Type: DOMAIN; Schema: public
--

CREATE DOMAIN public.sku_code AS text
	CONSTRAINT sku_code_format CHECK ((VALUE ~ '^[A-Z0-9]+(-[A-Z0-9]+)*$'::text));

--
-- Name: DOMAIN sku_code; Type: COMMENT; Schema: public
--

COMMENT ON DOMAIN public.sku_code IS 'Stock keeping unit: capitals and digits, in groups joined by hyphens.';

--
-- Name: move_category_branch(); Type: FUNCTION; Schema: api
--

CREATE FUNCTION api.move_category_branch() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE public.categories SET slug = slug WHERE parent_id = NEW.id;
    RETURN NULL;
END
$$;

--
-- Name: FUNCTION move_category_branch(); Type: COMMENT; Schema: api
--

COMMENT ON FUNCTION api.move_category_branch() IS 'Trigger: renews the paths below a category.';

--
-- Name: place_order(bigint); Type: FUNCTION; Schema: api
--

CREATE FUNCTION api.place_order(wanted bigint) RETURNS void
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

--
-- Name: FUNCTION place_order(wanted bigint); Type: COMMENT; Schema: api
--

COMMENT ON FUNCTION api.place_order(wanted bigint) IS 'Turns a basket into an order; fails if something is not in stock.';

--
-- Name: record_order_event(); Type: FUNCTION; Schema: api
--

CREATE FUNCTION api.record_order_event() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO public.order_events (order_id, old_status, new_status) VALUES (NEW.id, OLD.status, NEW.status);
    RETURN NULL;
END
$$;

--
-- Name: FUNCTION record_order_event(); Type: COMMENT; Schema: api
--

COMMENT ON FUNCTION api.record_order_event() IS 'Trigger: notes a change of status.';

--
-- Name: record_price_changes(); Type: FUNCTION; Schema: api
--

CREATE FUNCTION api.record_price_changes() RETURNS trigger
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

--
-- Name: FUNCTION record_price_changes(); Type: COMMENT; Schema: api
--

COMMENT ON FUNCTION api.record_price_changes() IS 'Trigger: notes changes of prices.';

--
-- Name: refresh_order_total(); Type: FUNCTION; Schema: api
--

CREATE FUNCTION api.refresh_order_total() RETURNS trigger
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

--
-- Name: FUNCTION refresh_order_total(); Type: COMMENT; Schema: api
--

COMMENT ON FUNCTION api.refresh_order_total() IS 'Trigger: sums the lines of an order.';

--
-- Name: products; Type: TABLE; Schema: public
--

CREATE TABLE public.products (
    id bigint NOT NULL,
    sku public.sku_code NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    category_id integer NOT NULL,
    unit_price public.money_amount NOT NULL,
    currency_code character(3) NOT NULL,
    discontinued_on date,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone,
    name text NOT NULL,
    search_vector tsvector GENERATED ALWAYS AS ((setweight(to_tsvector('english'::regconfig, name), 'A'::"char") || setweight(to_tsvector('english'::regconfig, description), 'B'::"char"))) STORED,
    attributes public.hstore DEFAULT ''::public.hstore NOT NULL
);

--
-- Name: TABLE products; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.products IS 'What the shop sells.';

--
-- Name: COLUMN products.id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.products.id IS 'Surrogate key.';

--
-- Name: COLUMN products.sku; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.products.sku IS 'Stock keeping unit, as printed on the shelf.';

--
-- Name: COLUMN products.description; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.products.description IS 'Text of the product page.';

--
-- Name: COLUMN products.category_id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.products.category_id IS 'The category that lists it.';

--
-- Name: COLUMN products.unit_price; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.products.unit_price IS 'Price of one piece, tax included.';

--
-- Name: COLUMN products.currency_code; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.products.currency_code IS 'Currency of the price.';

--
-- Name: COLUMN products.discontinued_on; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.products.discontinued_on IS 'First day on which it is no longer sold; null while it is.';

--
-- Name: COLUMN products.created_at; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.products.created_at IS 'When it was first listed.';

--
-- Name: COLUMN products.updated_at; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.products.updated_at IS 'Last change; null if never changed.';

--
-- Name: COLUMN products.name; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.products.name IS 'Name shown to customers.';

--
-- Name: COLUMN products.search_vector; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.products.search_vector IS 'What full text search looks at.';

--
-- Name: COLUMN products.attributes; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.products.attributes IS 'Whatever else is worth knowing: colour, size, material.';

--
-- Name: search_products(text); Type: FUNCTION; Schema: api
--

CREATE FUNCTION api.search_products(wanted text) RETURNS TABLE(product_id bigint, name text, rank real)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT p.id,
     p.name,
     ts_rank(p.search_vector, q.query) AS ts_rank
    FROM public.products p,
     websearch_to_tsquery('english'::regconfig, search_products.wanted) q(query)
   WHERE ((p.search_vector @@ q.query) AND (p.discontinued_on IS NULL))
   ORDER BY (ts_rank(p.search_vector, q.query)) DESC, p.id;
END;

--
-- Name: FUNCTION search_products(wanted text); Type: COMMENT; Schema: api
--

COMMENT ON FUNCTION api.search_products(wanted text) IS 'Full text search in names and descriptions, best first.';

--
-- Name: set_category_path(); Type: FUNCTION; Schema: api
--

CREATE FUNCTION api.set_category_path() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    NEW.path := public.text2ltree(concat_ws('.',
        (SELECT public.ltree2text(parent.path) FROM public.categories parent WHERE parent.id = NEW.parent_id), NEW.slug));
    RETURN NEW;
END
$$;

--
-- Name: FUNCTION set_category_path(); Type: COMMENT; Schema: api
--

COMMENT ON FUNCTION api.set_category_path() IS 'Trigger: derives the path of a category from its parent.';

--
-- Name: suggest_products(text); Type: FUNCTION; Schema: api
--

CREATE FUNCTION api.suggest_products(typed text) RETURNS TABLE(product_id bigint, name text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT p.id,
     p.name
    FROM public.products p
   WHERE ((p.name OPERATOR(public.%) suggest_products.typed) AND (p.discontinued_on IS NULL))
   ORDER BY (public.similarity(p.name, suggest_products.typed)) DESC, p.id
  LIMIT 10;
END;

--
-- Name: FUNCTION suggest_products(typed text); Type: COMMENT; Schema: api
--

COMMENT ON FUNCTION api.suggest_products(typed text) IS 'Products whose name resembles what was typed.';

--
-- Name: orders; Type: TABLE; Schema: public
--

CREATE TABLE public.orders (
    id bigint NOT NULL,
    customer_id bigint NOT NULL,
    status public.order_status DEFAULT 'draft'::public.order_status NOT NULL,
    currency_code character(3) NOT NULL,
    delivery_address public.postal_address,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    placed_at timestamp with time zone,
    shipping_method text,
    updated_at timestamp with time zone,
    total_amount public.money_amount DEFAULT 0 NOT NULL,
    CONSTRAINT orders_placed_after_created CHECK ((placed_at >= created_at)),
    CONSTRAINT orders_placed_once_not_draft CHECK ((((status = 'draft'::public.order_status) = (placed_at IS NULL)) OR (status = 'cancelled'::public.order_status)))
);

--
-- Name: TABLE orders; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.orders IS 'What customers have ordered; a draft is a shopping basket.';

--
-- Name: COLUMN orders.id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.orders.id IS 'Order number that customers see.';

--
-- Name: COLUMN orders.customer_id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.orders.customer_id IS 'Who orders.';

--
-- Name: COLUMN orders.status; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.orders.status IS 'Where the order stands.';

--
-- Name: COLUMN orders.currency_code; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.orders.currency_code IS 'Currency of all its amounts.';

--
-- Name: COLUMN orders.delivery_address; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.orders.delivery_address IS 'Where it goes; a copy, so that later changes of address do not matter.';

--
-- Name: COLUMN orders.created_at; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.orders.created_at IS 'When the basket was begun.';

--
-- Name: COLUMN orders.placed_at; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.orders.placed_at IS 'When the customer ordered; null for a draft.';

--
-- Name: COLUMN orders.shipping_method; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.orders.shipping_method IS 'How it is sent; null until the customer chooses.';

--
-- Name: COLUMN orders.updated_at; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.orders.updated_at IS 'Last change; null if never changed.';

--
-- Name: COLUMN orders.total_amount; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.orders.total_amount IS 'Sum of its lines.';

--
-- Name: payments; Type: TABLE; Schema: public
--

CREATE TABLE public.payments (
    id bigint NOT NULL,
    order_id bigint NOT NULL,
    method public.payment_method NOT NULL,
    amount public.money_amount NOT NULL,
    provider_reference text NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT payments_amount_positive CHECK (((amount)::numeric > (0)::numeric))
);

--
-- Name: TABLE payments; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.payments IS 'Money received for orders.';

--
-- Name: COLUMN payments.id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.payments.id IS 'Surrogate key.';

--
-- Name: COLUMN payments.order_id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.payments.order_id IS 'What was paid.';

--
-- Name: COLUMN payments.method; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.payments.method IS 'How it was paid.';

--
-- Name: COLUMN payments.amount; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.payments.amount IS 'How much, in the currency of the order.';

--
-- Name: COLUMN payments.provider_reference; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.payments.provider_reference IS 'The reference that the bank or payment provider gives.';

--
-- Name: COLUMN payments.received_at; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.payments.received_at IS 'When the money arrived.';

--
-- Name: order_balance(bigint); Type: FUNCTION; Schema: public
--

CREATE FUNCTION public.order_balance(wanted bigint) RETURNS numeric
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT ((o.total_amount)::numeric - COALESCE(( SELECT sum((p.amount)::numeric) AS sum
            FROM public.payments p
           WHERE (p.order_id = o.id)), (0)::numeric))
    FROM public.orders o
   WHERE (o.id = order_balance.wanted);
END;

--
-- Name: FUNCTION order_balance(wanted bigint); Type: COMMENT; Schema: public
--

COMMENT ON FUNCTION public.order_balance(wanted bigint) IS 'What is still to be paid for an order; null if there is no such order.';

--
-- Name: set_updated_at(); Type: FUNCTION; Schema: public
--

CREATE FUNCTION public.set_updated_at() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

--
-- Name: FUNCTION set_updated_at(); Type: COMMENT; Schema: public
--

COMMENT ON FUNCTION public.set_updated_at() IS 'Trigger: notes the time of the last change.';

--
-- Name: customer_overview; Type: VIEW; Schema: api
--

CREATE VIEW api.customer_overview AS
SELECT
    NULL::bigint AS customer_id,
    NULL::text AS email,
    NULL::text AS full_name,
    NULL::bigint AS orders,
    NULL::timestamp with time zone AS last_order_at,
    NULL::numeric AS open_balance;

--
-- Name: VIEW customer_overview; Type: COMMENT; Schema: api
--

COMMENT ON VIEW api.customer_overview IS 'Customers with the number and state of their orders.';

--
-- Name: order_items; Type: TABLE; Schema: public
--

CREATE TABLE public.order_items (
    order_id bigint NOT NULL,
    line_no smallint NOT NULL,
    product_id bigint NOT NULL,
    quantity integer NOT NULL,
    unit_price public.money_amount NOT NULL,
    line_total numeric(14,2) GENERATED ALWAYS AS (((quantity)::numeric * (unit_price)::numeric)) STORED,
    note text,
    CONSTRAINT order_items_line_no_check CHECK ((line_no > 0)),
    CONSTRAINT order_items_quantity_positive CHECK ((quantity > 0))
);

--
-- Name: TABLE order_items; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.order_items IS 'Lines of an order.';

--
-- Name: COLUMN order_items.order_id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.order_items.order_id IS 'The order.';

--
-- Name: COLUMN order_items.line_no; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.order_items.line_no IS 'Line within the order, from 1.';

--
-- Name: COLUMN order_items.product_id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.order_items.product_id IS 'What is ordered.';

--
-- Name: COLUMN order_items.quantity; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.order_items.quantity IS 'Pieces.';

--
-- Name: COLUMN order_items.unit_price; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.order_items.unit_price IS 'Price of one piece when it was ordered.';

--
-- Name: COLUMN order_items.line_total; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.order_items.line_total IS 'Quantity times price.';

--
-- Name: COLUMN order_items.note; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.order_items.note IS 'What the customer wishes for this line: an engraving, a colour; null for most.';

--
-- Name: order_summary; Type: VIEW; Schema: api
--

CREATE VIEW api.order_summary WITH (security_invoker='true') AS
 SELECT o.id AS order_id,
    o.customer_id,
    o.status,
    o.placed_at,
    o.currency_code,
    o.total_amount,
    public.order_balance(o.id) AS balance,
    ( SELECT count(*) AS count
           FROM public.order_items i
          WHERE (i.order_id = o.id)) AS lines
   FROM public.orders o
  WHERE (o.status <> 'draft'::public.order_status);

--
-- Name: VIEW order_summary; Type: COMMENT; Schema: api
--

COMMENT ON VIEW api.order_summary IS 'Orders without their lines; a customer sees their own only.';

--
-- Name: campaigns; Type: TABLE; Schema: public
--

CREATE TABLE public.campaigns (
    id bigint NOT NULL,
    name text NOT NULL,
    period daterange NOT NULL,
    discount_percent numeric(4,1) NOT NULL,
    cancelled boolean DEFAULT false NOT NULL,
    CONSTRAINT campaigns_discount_in_range CHECK (((discount_percent > (0)::numeric) AND (discount_percent <= (90)::numeric))),
    CONSTRAINT campaigns_period_not_empty CHECK ((NOT isempty(period)))
);

--
-- Name: TABLE campaigns; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.campaigns IS 'Discounts on everything, one at a time.';

--
-- Name: COLUMN campaigns.id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.campaigns.id IS 'Surrogate key.';

--
-- Name: COLUMN campaigns.name; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.campaigns.name IS 'Name shown to customers.';

--
-- Name: COLUMN campaigns.period; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.campaigns.period IS 'Days on which it holds.';

--
-- Name: COLUMN campaigns.discount_percent; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.campaigns.discount_percent IS 'Discount in percent.';

--
-- Name: COLUMN campaigns.cancelled; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.campaigns.cancelled IS 'Whether it was called off.';

--
-- Name: campaigns_id_seq; Type: SEQUENCE; Schema: public
--

ALTER TABLE public.campaigns ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.campaigns_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: categories; Type: TABLE; Schema: public
--

CREATE TABLE public.categories (
    id integer NOT NULL,
    parent_id integer,
    slug text NOT NULL,
    name text NOT NULL,
    path public.ltree,
    CONSTRAINT categories_not_own_parent CHECK ((parent_id <> id)),
    CONSTRAINT categories_slug_format CHECK ((slug ~ '^[a-z0-9_]+$'::text))
);

--
-- Name: TABLE categories; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.categories IS 'Tree of product categories.';

--
-- Name: COLUMN categories.id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.categories.id IS 'Surrogate key.';

--
-- Name: COLUMN categories.parent_id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.categories.parent_id IS 'The category above; null at the top.';

--
-- Name: COLUMN categories.slug; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.categories.slug IS 'Stable name for addresses of pages.';

--
-- Name: COLUMN categories.name; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.categories.name IS 'Name shown to customers.';

--
-- Name: COLUMN categories.path; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.categories.path IS 'Slugs from the top down to this category.';

--
-- Name: categories_id_seq; Type: SEQUENCE; Schema: public
--

CREATE SEQUENCE public.categories_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

--
-- Name: categories_id_seq; Type: SEQUENCE OWNED BY; Schema: public
--

ALTER SEQUENCE public.categories_id_seq OWNED BY public.categories.id;

--
-- Name: countries; Type: TABLE; Schema: public
--

CREATE TABLE public.countries (
    code character(2) NOT NULL,
    name text NOT NULL,
    currency_code character(3) NOT NULL,
    CONSTRAINT countries_code_check CHECK ((code ~ '^[A-Z]{2}$'::text))
);

--
-- Name: TABLE countries; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.countries IS 'Countries the shop delivers to.';

--
-- Name: COLUMN countries.code; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.countries.code IS 'ISO 3166-1 alpha-2 code.';

--
-- Name: COLUMN countries.name; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.countries.name IS 'English short name.';

--
-- Name: COLUMN countries.currency_code; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.countries.currency_code IS 'Currency that customers of this country see first.';

--
-- Name: currencies; Type: TABLE; Schema: public
--

CREATE TABLE public.currencies (
    code character(3) NOT NULL,
    name text NOT NULL,
    minor_units smallint DEFAULT 2 NOT NULL,
    CONSTRAINT currencies_code_check CHECK ((code ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT currencies_minor_units_check CHECK (((minor_units >= 0) AND (minor_units <= 4)))
);

--
-- Name: TABLE currencies; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.currencies IS 'Currencies that prices and payments can be in.';

--
-- Name: COLUMN currencies.code; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.currencies.code IS 'ISO 4217 code.';

--
-- Name: COLUMN currencies.name; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.currencies.name IS 'English name.';

--
-- Name: COLUMN currencies.minor_units; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.currencies.minor_units IS 'Digits after the decimal point.';

--
-- Name: customer_addresses; Type: TABLE; Schema: public
--

CREATE TABLE public.customer_addresses (
    id bigint NOT NULL,
    customer_id bigint NOT NULL,
    kind text NOT NULL,
    address public.postal_address NOT NULL,
    is_default boolean DEFAULT false NOT NULL,
    CONSTRAINT customer_addresses_kind_known CHECK ((kind = ANY (ARRAY['billing'::text, 'delivery'::text])))
);

--
-- Name: TABLE customer_addresses; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.customer_addresses IS 'Addresses that a customer has entered.';

--
-- Name: COLUMN customer_addresses.id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.customer_addresses.id IS 'Surrogate key.';

--
-- Name: COLUMN customer_addresses.customer_id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.customer_addresses.customer_id IS 'Whose address it is.';

--
-- Name: COLUMN customer_addresses.kind; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.customer_addresses.kind IS 'What it is for: billing or delivery.';

--
-- Name: COLUMN customer_addresses.address; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.customer_addresses.address IS 'The address itself.';

--
-- Name: COLUMN customer_addresses.is_default; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.customer_addresses.is_default IS 'Whether new orders start with it.';

--
-- Name: customer_addresses_id_seq; Type: SEQUENCE; Schema: public
--

ALTER TABLE public.customer_addresses ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.customer_addresses_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: customers; Type: TABLE; Schema: public
--

CREATE TABLE public.customers (
    id bigint NOT NULL,
    email text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone,
    given_name text NOT NULL,
    family_name text NOT NULL,
    CONSTRAINT customers_email_has_at CHECK ((POSITION(('@'::text) IN (email)) > 1))
);

--
-- Name: TABLE customers; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.customers IS 'People who have an account.';

--
-- Name: COLUMN customers.id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.customers.id IS 'Surrogate key.';

--
-- Name: COLUMN customers.email; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.customers.email IS 'Where the customer is reached; unique without regard to case.';

--
-- Name: COLUMN customers.created_at; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.customers.created_at IS 'When the account was opened.';

--
-- Name: COLUMN customers.updated_at; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.customers.updated_at IS 'Last change; null if never changed.';

--
-- Name: COLUMN customers.given_name; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.customers.given_name IS 'Given names; empty for people who have one name only.';

--
-- Name: COLUMN customers.family_name; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.customers.family_name IS 'Family name; what lists are sorted by.';

--
-- Name: customers_id_seq; Type: SEQUENCE; Schema: public
--

ALTER TABLE public.customers ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.customers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: daily_sales; Type: MATERIALIZED VIEW; Schema: public
--

CREATE MATERIALIZED VIEW public.daily_sales AS
 SELECT ((o.placed_at AT TIME ZONE 'UTC'::text))::date AS day,
    o.currency_code,
    count(DISTINCT o.id) AS orders,
    sum(i.quantity) AS pieces,
    sum(i.line_total) AS revenue
   FROM (public.orders o
     JOIN public.order_items i ON ((i.order_id = o.id)))
  WHERE (o.status = ANY (ARRAY['paid'::public.order_status, 'shipped'::public.order_status, 'delivered'::public.order_status]))
  GROUP BY (((o.placed_at AT TIME ZONE 'UTC'::text))::date), o.currency_code
  WITH NO DATA;

--
-- Name: MATERIALIZED VIEW daily_sales; Type: COMMENT; Schema: public
--

COMMENT ON MATERIALIZED VIEW public.daily_sales IS 'Sales by day and currency, refreshed each night.';

--
-- Name: COLUMN daily_sales.day; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.daily_sales.day IS 'Day on which the orders were placed, UTC.';

--
-- Name: COLUMN daily_sales.currency_code; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.daily_sales.currency_code IS 'Currency of the revenue.';

--
-- Name: COLUMN daily_sales.orders; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.daily_sales.orders IS 'Number of orders.';

--
-- Name: COLUMN daily_sales.pieces; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.daily_sales.pieces IS 'Pieces sold.';

--
-- Name: COLUMN daily_sales.revenue; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.daily_sales.revenue IS 'Sum of the lines.';

--
-- Name: newsletter_subscriptions; Type: TABLE; Schema: public
--

CREATE TABLE public.newsletter_subscriptions (
    email public.citext NOT NULL,
    customer_id bigint,
    confirmed boolean DEFAULT false NOT NULL,
    topics text[] DEFAULT ARRAY['offers'::text] NOT NULL,
    CONSTRAINT newsletter_subscriptions_topics_known CHECK ((topics <@ ARRAY['offers'::text, 'news'::text, 'stock'::text]))
);

--
-- Name: TABLE newsletter_subscriptions; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.newsletter_subscriptions IS 'Who gets the newsletter; no account is needed.';

--
-- Name: COLUMN newsletter_subscriptions.email; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.newsletter_subscriptions.email IS 'Where it is sent; compared without regard to case.';

--
-- Name: COLUMN newsletter_subscriptions.customer_id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.newsletter_subscriptions.customer_id IS 'The account with this address, if any.';

--
-- Name: COLUMN newsletter_subscriptions.confirmed; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.newsletter_subscriptions.confirmed IS 'Whether the address was confirmed.';

--
-- Name: COLUMN newsletter_subscriptions.topics; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.newsletter_subscriptions.topics IS 'What the subscriber wants to read about.';

--
-- Name: order_events; Type: TABLE; Schema: public
--

CREATE TABLE public.order_events (
    id bigint NOT NULL,
    order_id bigint NOT NULL,
    occurred_at timestamp with time zone DEFAULT now() NOT NULL,
    old_status public.order_status,
    new_status public.order_status NOT NULL
)
PARTITION BY RANGE (occurred_at);

--
-- Name: TABLE order_events; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.order_events IS 'Every change of the status of an order.';

--
-- Name: COLUMN order_events.id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.order_events.id IS 'Surrogate key.';

--
-- Name: COLUMN order_events.order_id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.order_events.order_id IS 'The order.';

--
-- Name: COLUMN order_events.occurred_at; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.order_events.occurred_at IS 'When it happened; decides the partition.';

--
-- Name: COLUMN order_events.old_status; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.order_events.old_status IS 'Status before; null for a new order.';

--
-- Name: COLUMN order_events.new_status; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.order_events.new_status IS 'Status since then.';

--
-- Name: order_events_id_seq; Type: SEQUENCE; Schema: public
--

CREATE SEQUENCE public.order_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

--
-- Name: order_events_id_seq; Type: SEQUENCE OWNED BY; Schema: public
--

ALTER SEQUENCE public.order_events_id_seq OWNED BY public.order_events.id;

--
-- Name: order_events_2023; Type: TABLE; Schema: public
--

CREATE TABLE public.order_events_2023 (
    id bigint DEFAULT nextval('public.order_events_id_seq'::regclass) NOT NULL,
    order_id bigint NOT NULL,
    occurred_at timestamp with time zone DEFAULT now() NOT NULL,
    old_status public.order_status,
    new_status public.order_status NOT NULL
);

--
-- Name: TABLE order_events_2023; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.order_events_2023 IS 'Events until the end of 2023.';

--
-- Name: order_events_2024; Type: TABLE; Schema: public
--

CREATE TABLE public.order_events_2024 (
    id bigint DEFAULT nextval('public.order_events_id_seq'::regclass) NOT NULL,
    order_id bigint NOT NULL,
    occurred_at timestamp with time zone DEFAULT now() NOT NULL,
    old_status public.order_status,
    new_status public.order_status NOT NULL
);

--
-- Name: TABLE order_events_2024; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.order_events_2024 IS 'Events of 2024.';

--
-- Name: order_events_2025; Type: TABLE; Schema: public
--

CREATE TABLE public.order_events_2025 (
    id bigint DEFAULT nextval('public.order_events_id_seq'::regclass) NOT NULL,
    order_id bigint NOT NULL,
    occurred_at timestamp with time zone DEFAULT now() NOT NULL,
    old_status public.order_status,
    new_status public.order_status NOT NULL
);

--
-- Name: TABLE order_events_2025; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.order_events_2025 IS 'Events of 2025.';

--
-- Name: order_events_later; Type: TABLE; Schema: public
--

CREATE TABLE public.order_events_later (
    id bigint DEFAULT nextval('public.order_events_id_seq'::regclass) NOT NULL,
    order_id bigint NOT NULL,
    occurred_at timestamp with time zone DEFAULT now() NOT NULL,
    old_status public.order_status,
    new_status public.order_status NOT NULL
);

--
-- Name: TABLE order_events_later; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.order_events_later IS 'Events that no other partition takes.';

--
-- Name: orders_id_seq; Type: SEQUENCE; Schema: public
--

ALTER TABLE public.orders ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.orders_id_seq
    START WITH 1000
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: payments_id_seq; Type: SEQUENCE; Schema: public
--

ALTER TABLE public.payments ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.payments_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: price_changes; Type: TABLE; Schema: public
--

CREATE TABLE public.price_changes (
    id bigint NOT NULL,
    product_id bigint NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    changed_by name DEFAULT CURRENT_USER NOT NULL,
    old_price public.money_amount NOT NULL,
    new_price public.money_amount NOT NULL,
    CONSTRAINT price_changes_really_changed CHECK (((old_price)::numeric <> (new_price)::numeric))
);

--
-- Name: TABLE price_changes; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.price_changes IS 'Every change of a price; written by a trigger.';

--
-- Name: COLUMN price_changes.id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.price_changes.id IS 'Surrogate key.';

--
-- Name: COLUMN price_changes.product_id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.price_changes.product_id IS 'Whose price it is.';

--
-- Name: COLUMN price_changes.changed_at; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.price_changes.changed_at IS 'When it was changed.';

--
-- Name: COLUMN price_changes.changed_by; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.price_changes.changed_by IS 'Which role changed it.';

--
-- Name: COLUMN price_changes.old_price; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.price_changes.old_price IS 'Price before.';

--
-- Name: COLUMN price_changes.new_price; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.price_changes.new_price IS 'Price since then.';

--
-- Name: price_changes_id_seq; Type: SEQUENCE; Schema: public
--

ALTER TABLE public.price_changes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.price_changes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: price_list; Type: TABLE; Schema: public
--

CREATE TABLE public.price_list (
    id bigint NOT NULL,
    product_id bigint NOT NULL,
    valid daterange NOT NULL,
    unit_price public.money_amount NOT NULL
);

--
-- Name: TABLE price_list; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.price_list IS 'Prices that differ from the usual one for a time.';

--
-- Name: COLUMN price_list.id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.price_list.id IS 'Surrogate key.';

--
-- Name: COLUMN price_list.product_id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.price_list.product_id IS 'The product.';

--
-- Name: COLUMN price_list.valid; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.price_list.valid IS 'Days on which the price holds; those of one product do not overlap.';

--
-- Name: COLUMN price_list.unit_price; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.price_list.unit_price IS 'Price of one piece on those days.';

--
-- Name: price_list_id_seq; Type: SEQUENCE; Schema: public
--

ALTER TABLE public.price_list ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.price_list_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: products_id_seq; Type: SEQUENCE; Schema: public
--

ALTER TABLE public.products ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.products_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: reviews; Type: TABLE; Schema: public
--

CREATE TABLE public.reviews (
    id bigint NOT NULL,
    product_id bigint NOT NULL,
    customer_id bigint NOT NULL,
    rating smallint NOT NULL,
    body text DEFAULT ''::text NOT NULL,
    written_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT reviews_rating_in_range CHECK (((rating >= 1) AND (rating <= 5)))
);

--
-- Name: TABLE reviews; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.reviews IS 'What customers say about products.';

--
-- Name: COLUMN reviews.id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.reviews.id IS 'Surrogate key.';

--
-- Name: COLUMN reviews.product_id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.reviews.product_id IS 'What it is about.';

--
-- Name: COLUMN reviews.customer_id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.reviews.customer_id IS 'Who wrote it.';

--
-- Name: COLUMN reviews.rating; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.reviews.rating IS 'Stars, 1 to 5.';

--
-- Name: COLUMN reviews.body; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.reviews.body IS 'The text; may be empty.';

--
-- Name: COLUMN reviews.written_at; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.reviews.written_at IS 'When it was written.';

--
-- Name: reviews_id_seq; Type: SEQUENCE; Schema: public
--

ALTER TABLE public.reviews ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.reviews_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: shipping_methods; Type: TABLE; Schema: public
--

CREATE TABLE public.shipping_methods (
    code text NOT NULL,
    name text NOT NULL,
    max_weight_grams integer,
    delivery_time interval day NOT NULL,
    CONSTRAINT shipping_methods_max_weight_grams_check CHECK ((max_weight_grams > 0))
);

--
-- Name: TABLE shipping_methods; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.shipping_methods IS 'Ways to send a parcel.';

--
-- Name: COLUMN shipping_methods.code; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.shipping_methods.code IS 'Stable name.';

--
-- Name: COLUMN shipping_methods.name; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.shipping_methods.name IS 'Name shown to customers.';

--
-- Name: COLUMN shipping_methods.max_weight_grams; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.shipping_methods.max_weight_grams IS 'Heaviest parcel; null for no limit.';

--
-- Name: COLUMN shipping_methods.delivery_time; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.shipping_methods.delivery_time IS 'Usual time until delivery.';

--
-- Name: shop_settings; Type: TABLE; Schema: public
--

CREATE TABLE public.shop_settings (
    key text NOT NULL,
    value jsonb NOT NULL,
    description text NOT NULL
);

--
-- Name: TABLE shop_settings; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.shop_settings IS 'Settings that the application reads when it starts.';

--
-- Name: COLUMN shop_settings.key; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.shop_settings.key IS 'Name of the setting.';

--
-- Name: COLUMN shop_settings.value; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.shop_settings.value IS 'Its value.';

--
-- Name: COLUMN shop_settings.description; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.shop_settings.description IS 'What it does.';

--
-- Name: stock_levels; Type: TABLE; Schema: public
--

CREATE TABLE public.stock_levels (
    warehouse_code text NOT NULL,
    product_id bigint NOT NULL,
    on_hand integer DEFAULT 0 NOT NULL,
    reserved integer DEFAULT 0 NOT NULL,
    CONSTRAINT stock_levels_reserved_within_stock CHECK (((reserved >= 0) AND (reserved <= on_hand)))
);

--
-- Name: TABLE stock_levels; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.stock_levels IS 'How much of a product lies in a warehouse.';

--
-- Name: COLUMN stock_levels.warehouse_code; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.stock_levels.warehouse_code IS 'Where it lies.';

--
-- Name: COLUMN stock_levels.product_id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.stock_levels.product_id IS 'What lies there.';

--
-- Name: COLUMN stock_levels.on_hand; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.stock_levels.on_hand IS 'Pieces on the shelf.';

--
-- Name: COLUMN stock_levels.reserved; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.stock_levels.reserved IS 'Pieces of those promised to orders.';

--
-- Name: stock_overview; Type: VIEW; Schema: public
--

CREATE VIEW public.stock_overview AS
 SELECT p.id AS product_id,
    p.sku,
    COALESCE(sum(s.on_hand), (0)::bigint) AS on_hand,
    COALESCE(sum((s.on_hand - s.reserved)), (0)::bigint) AS available
   FROM (public.products p
     LEFT JOIN public.stock_levels s ON ((s.product_id = p.id)))
  GROUP BY p.id, p.sku;

--
-- Name: VIEW stock_overview; Type: COMMENT; Schema: public
--

COMMENT ON VIEW public.stock_overview IS 'Stock of each product over all warehouses.';

--
-- Name: COLUMN stock_overview.product_id; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.stock_overview.product_id IS 'The product.';

--
-- Name: COLUMN stock_overview.sku; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.stock_overview.sku IS 'Its stock keeping unit.';

--
-- Name: COLUMN stock_overview.on_hand; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.stock_overview.on_hand IS 'Pieces on all shelves.';

--
-- Name: COLUMN stock_overview.available; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.stock_overview.available IS 'Pieces that can still be promised.';

--
-- Name: tax_rates; Type: TABLE; Schema: public
--

CREATE TABLE public.tax_rates (
    country_code character(2) NOT NULL,
    valid_from date NOT NULL,
    rate numeric(5,4) NOT NULL,
    CONSTRAINT tax_rates_rate_is_fraction CHECK (((rate >= (0)::numeric) AND (rate < (1)::numeric)))
);

--
-- Name: TABLE tax_rates; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.tax_rates IS 'Value added tax by country and time.';

--
-- Name: COLUMN tax_rates.country_code; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.tax_rates.country_code IS 'Where it is due.';

--
-- Name: COLUMN tax_rates.valid_from; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.tax_rates.valid_from IS 'First day of validity; the next row of the country ends it.';

--
-- Name: COLUMN tax_rates.rate; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.tax_rates.rate IS 'The rate as a fraction: 0.19 is 19 %.';

--
-- Name: warehouses; Type: TABLE; Schema: public
--

CREATE TABLE public.warehouses (
    code text NOT NULL,
    address public.postal_address NOT NULL,
    CONSTRAINT warehouses_code_format CHECK ((code ~ '^[A-Z]{3}[0-9]{1,2}$'::text))
);

--
-- Name: TABLE warehouses; Type: COMMENT; Schema: public
--

COMMENT ON TABLE public.warehouses IS 'Places that goods are sent from.';

--
-- Name: COLUMN warehouses.code; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.warehouses.code IS 'City code and number.';

--
-- Name: COLUMN warehouses.address; Type: COMMENT; Schema: public
--

COMMENT ON COLUMN public.warehouses.address IS 'Where it is.';

--
-- Name: order_events_2023; Type: TABLE ATTACH; Schema: public
--

ALTER TABLE ONLY public.order_events ATTACH PARTITION public.order_events_2023 FOR VALUES FROM (MINVALUE) TO ('2024-01-01 00:00:00+00');

--
-- Name: order_events_2024; Type: TABLE ATTACH; Schema: public
--

ALTER TABLE ONLY public.order_events ATTACH PARTITION public.order_events_2024 FOR VALUES FROM ('2024-01-01 00:00:00+00') TO ('2025-01-01 00:00:00+00');

--
-- Name: order_events_2025; Type: TABLE ATTACH; Schema: public
--

ALTER TABLE ONLY public.order_events ATTACH PARTITION public.order_events_2025 FOR VALUES FROM ('2025-01-01 00:00:00+00') TO ('2026-01-01 00:00:00+00');

--
-- Name: order_events_later; Type: TABLE ATTACH; Schema: public
--

ALTER TABLE ONLY public.order_events ATTACH PARTITION public.order_events_later DEFAULT;

--
-- Name: categories id; Type: DEFAULT; Schema: public
--

ALTER TABLE ONLY public.categories ALTER COLUMN id SET DEFAULT nextval('public.categories_id_seq'::regclass);

--
-- Name: order_events id; Type: DEFAULT; Schema: public
--

ALTER TABLE ONLY public.order_events ALTER COLUMN id SET DEFAULT nextval('public.order_events_id_seq'::regclass);

--
-- Name: campaigns; Type: TABLE DATA; Schema: public
--

COPY public.campaigns (id, name, period, discount_percent, cancelled) FROM stdin;
\.

--
-- Name: categories; Type: TABLE DATA; Schema: public
--

COPY public.categories (id, parent_id, slug, name, path) FROM stdin;
1	\N	books	Books	books
2	\N	home	Home	home
3	\N	outdoor	Outdoor	outdoor
4	1	novels	Novels	books.novels
5	1	cookery	Cookery	books.cookery
6	2	kitchen	Kitchen	home.kitchen
7	2	lighting	Lighting	home.lighting
8	3	tents	Tents	outdoor.tents
\.

--
-- Name: countries; Type: TABLE DATA; Schema: public
--

COPY public.countries (code, name, currency_code) FROM stdin;
AT	Austria	EUR
CH	Switzerland	CHF
DE	Germany	EUR
FR	France	EUR
GB	United Kingdom	GBP
JP	Japan	JPY
US	United States	USD
\.

--
-- Name: currencies; Type: TABLE DATA; Schema: public
--

COPY public.currencies (code, name, minor_units) FROM stdin;
CHF	Swiss franc	2
EUR	Euro	2
GBP	Pound sterling	2
JPY	Yen	0
USD	US dollar	2
\.

--
-- Name: customer_addresses; Type: TABLE DATA; Schema: public
--

COPY public.customer_addresses (id, customer_id, kind, address, is_default) FROM stdin;
\.

--
-- Name: customers; Type: TABLE DATA; Schema: public
--

COPY public.customers (id, email, created_at, updated_at, given_name, family_name) FROM stdin;
\.

--
-- Name: newsletter_subscriptions; Type: TABLE DATA; Schema: public
--

COPY public.newsletter_subscriptions (email, customer_id, confirmed, topics) FROM stdin;
\.

--
-- Name: order_events; Type: TABLE DATA; Schema: public
--

COPY public.order_events (id, order_id, occurred_at, old_status, new_status) FROM stdin;
\.

--
-- Name: order_items; Type: TABLE DATA; Schema: public
--

COPY public.order_items (order_id, line_no, product_id, quantity, unit_price, note) FROM stdin;
\.

--
-- Name: orders; Type: TABLE DATA; Schema: public
--

COPY public.orders (id, customer_id, status, currency_code, delivery_address, created_at, placed_at, shipping_method, updated_at, total_amount) FROM stdin;
\.

--
-- Name: payments; Type: TABLE DATA; Schema: public
--

COPY public.payments (id, order_id, method, amount, provider_reference, received_at) FROM stdin;
\.

--
-- Name: price_changes; Type: TABLE DATA; Schema: public
--

COPY public.price_changes (id, product_id, changed_at, changed_by, old_price, new_price) FROM stdin;
\.

--
-- Name: price_list; Type: TABLE DATA; Schema: public
--

COPY public.price_list (id, product_id, valid, unit_price) FROM stdin;
\.

--
-- Name: products; Type: TABLE DATA; Schema: public
--

COPY public.products (id, sku, description, category_id, unit_price, currency_code, discontinued_on, created_at, updated_at, name, attributes) FROM stdin;
\.

--
-- Name: reviews; Type: TABLE DATA; Schema: public
--

COPY public.reviews (id, product_id, customer_id, rating, body, written_at) FROM stdin;
\.

--
-- Name: shipping_methods; Type: TABLE DATA; Schema: public
--

COPY public.shipping_methods (code, name, max_weight_grams, delivery_time) FROM stdin;
express	Express	20000	1 day
freight	Freight	\N	5 days
letter	Letter	1000	3 days
parcel	Parcel	31500	2 days
\.

--
-- Name: shop_settings; Type: TABLE DATA; Schema: public
--

COPY public.shop_settings (key, value, description) FROM stdin;
\.

--
-- Name: stock_levels; Type: TABLE DATA; Schema: public
--

COPY public.stock_levels (warehouse_code, product_id, on_hand, reserved) FROM stdin;
\.

--
-- Name: tax_rates; Type: TABLE DATA; Schema: public
--

COPY public.tax_rates (country_code, valid_from, rate) FROM stdin;
AT	2020-01-01	0.2000
CH	2018-01-01	0.0770
CH	2024-01-01	0.0810
DE	2021-01-01	0.1900
FR	2014-01-01	0.2000
GB	2011-01-04	0.2000
JP	2019-10-01	0.1000
US	2020-01-01	0.0000
\.

--
-- Name: warehouses; Type: TABLE DATA; Schema: public
--

COPY public.warehouses (code, address) FROM stdin;
\.

--
-- Name: campaigns_id_seq; Type: SEQUENCE SET; Schema: public
--

SELECT pg_catalog.setval('public.campaigns_id_seq', 1, false);

--
-- Name: categories_id_seq; Type: SEQUENCE SET; Schema: public
--

SELECT pg_catalog.setval('public.categories_id_seq', 8, true);

--
-- Name: customer_addresses_id_seq; Type: SEQUENCE SET; Schema: public
--

SELECT pg_catalog.setval('public.customer_addresses_id_seq', 1, false);

--
-- Name: customers_id_seq; Type: SEQUENCE SET; Schema: public
--

SELECT pg_catalog.setval('public.customers_id_seq', 1, false);

--
-- Name: order_events_id_seq; Type: SEQUENCE SET; Schema: public
--

SELECT pg_catalog.setval('public.order_events_id_seq', 1, false);

--
-- Name: orders_id_seq; Type: SEQUENCE SET; Schema: public
--

SELECT pg_catalog.setval('public.orders_id_seq', 1000, false);

--
-- Name: payments_id_seq; Type: SEQUENCE SET; Schema: public
--

SELECT pg_catalog.setval('public.payments_id_seq', 1, false);

--
-- Name: price_changes_id_seq; Type: SEQUENCE SET; Schema: public
--

SELECT pg_catalog.setval('public.price_changes_id_seq', 1, false);

--
-- Name: price_list_id_seq; Type: SEQUENCE SET; Schema: public
--

SELECT pg_catalog.setval('public.price_list_id_seq', 1, false);

--
-- Name: products_id_seq; Type: SEQUENCE SET; Schema: public
--

SELECT pg_catalog.setval('public.products_id_seq', 1, false);

--
-- Name: reviews_id_seq; Type: SEQUENCE SET; Schema: public
--

SELECT pg_catalog.setval('public.reviews_id_seq', 1, false);

--
-- Name: campaigns campaigns_do_not_overlap; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.campaigns
    ADD CONSTRAINT campaigns_do_not_overlap EXCLUDE USING gist (period WITH &&) WHERE ((NOT cancelled));

--
-- Name: campaigns campaigns_name_key; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.campaigns
    ADD CONSTRAINT campaigns_name_key UNIQUE (name);

--
-- Name: campaigns campaigns_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.campaigns
    ADD CONSTRAINT campaigns_pkey PRIMARY KEY (id);

--
-- Name: categories categories_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.categories
    ADD CONSTRAINT categories_pkey PRIMARY KEY (id);

--
-- Name: categories categories_slug_key; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.categories
    ADD CONSTRAINT categories_slug_key UNIQUE (slug);

--
-- Name: countries countries_name_key; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.countries
    ADD CONSTRAINT countries_name_key UNIQUE (name);

--
-- Name: countries countries_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.countries
    ADD CONSTRAINT countries_pkey PRIMARY KEY (code);

--
-- Name: currencies currencies_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.currencies
    ADD CONSTRAINT currencies_pkey PRIMARY KEY (code);

--
-- Name: customer_addresses customer_addresses_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.customer_addresses
    ADD CONSTRAINT customer_addresses_pkey PRIMARY KEY (id);

--
-- Name: customers customers_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (id);

--
-- Name: newsletter_subscriptions newsletter_subscriptions_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.newsletter_subscriptions
    ADD CONSTRAINT newsletter_subscriptions_pkey PRIMARY KEY (email);

--
-- Name: order_events order_events_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.order_events
    ADD CONSTRAINT order_events_pkey PRIMARY KEY (id, occurred_at);

--
-- Name: order_events_2023 order_events_2023_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.order_events_2023
    ADD CONSTRAINT order_events_2023_pkey PRIMARY KEY (id, occurred_at);

--
-- Name: order_events_2024 order_events_2024_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.order_events_2024
    ADD CONSTRAINT order_events_2024_pkey PRIMARY KEY (id, occurred_at);

--
-- Name: order_events_2025 order_events_2025_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.order_events_2025
    ADD CONSTRAINT order_events_2025_pkey PRIMARY KEY (id, occurred_at);

--
-- Name: order_events_later order_events_later_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.order_events_later
    ADD CONSTRAINT order_events_later_pkey PRIMARY KEY (id, occurred_at);

--
-- Name: order_items order_items_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.order_items
    ADD CONSTRAINT order_items_pkey PRIMARY KEY (order_id, line_no);

--
-- Name: orders orders_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (id);

--
-- Name: payments payments_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.payments
    ADD CONSTRAINT payments_pkey PRIMARY KEY (id);

--
-- Name: payments payments_provider_reference_key; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.payments
    ADD CONSTRAINT payments_provider_reference_key UNIQUE (method, provider_reference);

--
-- Name: price_changes price_changes_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.price_changes
    ADD CONSTRAINT price_changes_pkey PRIMARY KEY (id);

--
-- Name: price_list price_list_one_price_a_day; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.price_list
    ADD CONSTRAINT price_list_one_price_a_day EXCLUDE USING gist (product_id WITH =, valid WITH &&);

--
-- Name: price_list price_list_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.price_list
    ADD CONSTRAINT price_list_pkey PRIMARY KEY (id);

--
-- Name: products products_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.products
    ADD CONSTRAINT products_pkey PRIMARY KEY (id);

--
-- Name: products products_sku_key; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.products
    ADD CONSTRAINT products_sku_key UNIQUE (sku);

--
-- Name: reviews reviews_one_for_each_product; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.reviews
    ADD CONSTRAINT reviews_one_for_each_product UNIQUE (product_id, customer_id);

--
-- Name: reviews reviews_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.reviews
    ADD CONSTRAINT reviews_pkey PRIMARY KEY (id);

--
-- Name: shipping_methods shipping_methods_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.shipping_methods
    ADD CONSTRAINT shipping_methods_pkey PRIMARY KEY (code);

--
-- Name: shop_settings shop_settings_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.shop_settings
    ADD CONSTRAINT shop_settings_pkey PRIMARY KEY (key);

--
-- Name: stock_levels stock_levels_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.stock_levels
    ADD CONSTRAINT stock_levels_pkey PRIMARY KEY (warehouse_code, product_id);

--
-- Name: tax_rates tax_rates_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.tax_rates
    ADD CONSTRAINT tax_rates_pkey PRIMARY KEY (country_code, valid_from);

--
-- Name: warehouses warehouses_pkey; Type: CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.warehouses
    ADD CONSTRAINT warehouses_pkey PRIMARY KEY (code);

--
-- Name: categories_parent_id_idx; Type: INDEX; Schema: public
--

CREATE INDEX categories_parent_id_idx ON public.categories USING btree (parent_id);

--
-- Name: categories_path_idx; Type: INDEX; Schema: public
--

CREATE INDEX categories_path_idx ON public.categories USING gist (path);

--
-- Name: countries_currency_code_idx; Type: INDEX; Schema: public
--

CREATE INDEX countries_currency_code_idx ON public.countries USING btree (currency_code);

--
-- Name: customer_addresses_customer_id_idx; Type: INDEX; Schema: public
--

CREATE INDEX customer_addresses_customer_id_idx ON public.customer_addresses USING btree (customer_id);

--
-- Name: customer_addresses_default_key; Type: INDEX; Schema: public
--

CREATE UNIQUE INDEX customer_addresses_default_key ON public.customer_addresses USING btree (customer_id, kind) WHERE is_default;

--
-- Name: customers_email_key; Type: INDEX; Schema: public
--

CREATE UNIQUE INDEX customers_email_key ON public.customers USING btree (lower(email));

--
-- Name: customers_family_name_idx; Type: INDEX; Schema: public
--

CREATE INDEX customers_family_name_idx ON public.customers USING btree (lower(family_name), lower(given_name));

--
-- Name: daily_sales_key; Type: INDEX; Schema: public
--

CREATE UNIQUE INDEX daily_sales_key ON public.daily_sales USING btree (day, currency_code);

--
-- Name: newsletter_subscriptions_customer_id_idx; Type: INDEX; Schema: public
--

CREATE INDEX newsletter_subscriptions_customer_id_idx ON public.newsletter_subscriptions USING btree (customer_id);

--
-- Name: order_events_order_id_idx; Type: INDEX; Schema: public
--

CREATE INDEX order_events_order_id_idx ON ONLY public.order_events USING btree (order_id, occurred_at);

--
-- Name: order_events_2023_order_id_occurred_at_idx; Type: INDEX; Schema: public
--

CREATE INDEX order_events_2023_order_id_occurred_at_idx ON public.order_events_2023 USING btree (order_id, occurred_at);

--
-- Name: order_events_2024_order_id_occurred_at_idx; Type: INDEX; Schema: public
--

CREATE INDEX order_events_2024_order_id_occurred_at_idx ON public.order_events_2024 USING btree (order_id, occurred_at);

--
-- Name: order_events_2025_order_id_occurred_at_idx; Type: INDEX; Schema: public
--

CREATE INDEX order_events_2025_order_id_occurred_at_idx ON public.order_events_2025 USING btree (order_id, occurred_at);

--
-- Name: order_events_later_order_id_occurred_at_idx; Type: INDEX; Schema: public
--

CREATE INDEX order_events_later_order_id_occurred_at_idx ON public.order_events_later USING btree (order_id, occurred_at);

--
-- Name: order_items_product_id_idx; Type: INDEX; Schema: public
--

CREATE INDEX order_items_product_id_idx ON public.order_items USING btree (product_id);

--
-- Name: orders_currency_code_idx; Type: INDEX; Schema: public
--

CREATE INDEX orders_currency_code_idx ON public.orders USING btree (currency_code);

--
-- Name: orders_customer_id_created_at_idx; Type: INDEX; Schema: public
--

CREATE INDEX orders_customer_id_created_at_idx ON public.orders USING btree (customer_id, created_at DESC);

--
-- Name: orders_open_idx; Type: INDEX; Schema: public
--

CREATE INDEX orders_open_idx ON public.orders USING btree (placed_at) WHERE (status = ANY (ARRAY['placed'::public.order_status, 'paid'::public.order_status]));

--
-- Name: orders_shipping_method_idx; Type: INDEX; Schema: public
--

CREATE INDEX orders_shipping_method_idx ON public.orders USING btree (shipping_method) WHERE (shipping_method IS NOT NULL);

--
-- Name: payments_order_id_idx; Type: INDEX; Schema: public
--

CREATE INDEX payments_order_id_idx ON public.payments USING btree (order_id);

--
-- Name: payments_received_at_idx; Type: INDEX; Schema: public
--

CREATE INDEX payments_received_at_idx ON public.payments USING brin (received_at);

--
-- Name: price_changes_product_id_idx; Type: INDEX; Schema: public
--

CREATE INDEX price_changes_product_id_idx ON public.price_changes USING btree (product_id, changed_at);

--
-- Name: products_attributes_idx; Type: INDEX; Schema: public
--

CREATE INDEX products_attributes_idx ON public.products USING gin (attributes);

--
-- Name: products_category_id_idx; Type: INDEX; Schema: public
--

CREATE INDEX products_category_id_idx ON public.products USING btree (category_id);

--
-- Name: products_currency_code_idx; Type: INDEX; Schema: public
--

CREATE INDEX products_currency_code_idx ON public.products USING btree (currency_code);

--
-- Name: products_for_sale_idx; Type: INDEX; Schema: public
--

CREATE INDEX products_for_sale_idx ON public.products USING btree (category_id, unit_price) WHERE (discontinued_on IS NULL);

--
-- Name: products_name_trgm_idx; Type: INDEX; Schema: public
--

CREATE INDEX products_name_trgm_idx ON public.products USING gin (name public.gin_trgm_ops);

--
-- Name: products_search_vector_idx; Type: INDEX; Schema: public
--

CREATE INDEX products_search_vector_idx ON public.products USING gin (search_vector);

--
-- Name: reviews_customer_id_idx; Type: INDEX; Schema: public
--

CREATE INDEX reviews_customer_id_idx ON public.reviews USING btree (customer_id);

--
-- Name: stock_levels_product_id_idx; Type: INDEX; Schema: public
--

CREATE INDEX stock_levels_product_id_idx ON public.stock_levels USING btree (product_id) INCLUDE (on_hand, reserved);

--
-- Name: order_events_2023_order_id_occurred_at_idx; Type: INDEX ATTACH; Schema: public
--

ALTER INDEX public.order_events_order_id_idx ATTACH PARTITION public.order_events_2023_order_id_occurred_at_idx;

--
-- Name: order_events_2023_pkey; Type: INDEX ATTACH; Schema: public
--

ALTER INDEX public.order_events_pkey ATTACH PARTITION public.order_events_2023_pkey;

--
-- Name: order_events_2024_order_id_occurred_at_idx; Type: INDEX ATTACH; Schema: public
--

ALTER INDEX public.order_events_order_id_idx ATTACH PARTITION public.order_events_2024_order_id_occurred_at_idx;

--
-- Name: order_events_2024_pkey; Type: INDEX ATTACH; Schema: public
--

ALTER INDEX public.order_events_pkey ATTACH PARTITION public.order_events_2024_pkey;

--
-- Name: order_events_2025_order_id_occurred_at_idx; Type: INDEX ATTACH; Schema: public
--

ALTER INDEX public.order_events_order_id_idx ATTACH PARTITION public.order_events_2025_order_id_occurred_at_idx;

--
-- Name: order_events_2025_pkey; Type: INDEX ATTACH; Schema: public
--

ALTER INDEX public.order_events_pkey ATTACH PARTITION public.order_events_2025_pkey;

--
-- Name: order_events_later_order_id_occurred_at_idx; Type: INDEX ATTACH; Schema: public
--

ALTER INDEX public.order_events_order_id_idx ATTACH PARTITION public.order_events_later_order_id_occurred_at_idx;

--
-- Name: order_events_later_pkey; Type: INDEX ATTACH; Schema: public
--

ALTER INDEX public.order_events_pkey ATTACH PARTITION public.order_events_later_pkey;

--
-- Name: customer_overview _RETURN; Type: RULE; Schema: api
--

CREATE OR REPLACE VIEW api.customer_overview WITH (security_invoker='true') AS
 SELECT c.id AS customer_id,
    c.email,
    concat_ws(' '::text, NULLIF(c.given_name, ''::text), c.family_name) AS full_name,
    count(s.order_id) AS orders,
    max(s.placed_at) AS last_order_at,
    COALESCE(sum(s.balance) FILTER (WHERE (s.status <> 'cancelled'::public.order_status)), (0)::numeric) AS open_balance
   FROM (public.customers c
     LEFT JOIN api.order_summary s ON ((s.customer_id = c.id)))
  GROUP BY c.id;

--
-- Name: categories categories_move_branch; Type: TRIGGER; Schema: public
--

CREATE TRIGGER categories_move_branch AFTER UPDATE OF parent_id, slug ON public.categories FOR EACH ROW WHEN (((new.path)::text IS DISTINCT FROM (old.path)::text)) EXECUTE FUNCTION api.move_category_branch();

--
-- Name: categories categories_set_path; Type: TRIGGER; Schema: public
--

CREATE TRIGGER categories_set_path BEFORE INSERT OR UPDATE OF parent_id, slug ON public.categories FOR EACH ROW EXECUTE FUNCTION api.set_category_path();

--
-- Name: customers customers_set_updated_at; Type: TRIGGER; Schema: public
--

CREATE TRIGGER customers_set_updated_at BEFORE UPDATE ON public.customers FOR EACH ROW EXECUTE FUNCTION public.set_updated_at();

--
-- Name: order_items order_items_refresh_total; Type: TRIGGER; Schema: public
--

CREATE TRIGGER order_items_refresh_total AFTER INSERT OR DELETE OR UPDATE OF order_id, quantity, unit_price ON public.order_items FOR EACH ROW EXECUTE FUNCTION api.refresh_order_total();

--
-- Name: orders orders_record_event; Type: TRIGGER; Schema: public
--

CREATE TRIGGER orders_record_event AFTER UPDATE OF status ON public.orders FOR EACH ROW WHEN ((old.status IS DISTINCT FROM new.status)) EXECUTE FUNCTION api.record_order_event();

--
-- Name: orders orders_set_updated_at; Type: TRIGGER; Schema: public
--

CREATE TRIGGER orders_set_updated_at BEFORE UPDATE ON public.orders FOR EACH ROW EXECUTE FUNCTION public.set_updated_at();

--
-- Name: products products_record_price_changes; Type: TRIGGER; Schema: public
--

CREATE TRIGGER products_record_price_changes AFTER UPDATE ON public.products REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION api.record_price_changes();

--
-- Name: products products_set_updated_at; Type: TRIGGER; Schema: public
--

CREATE TRIGGER products_set_updated_at BEFORE UPDATE ON public.products FOR EACH ROW EXECUTE FUNCTION public.set_updated_at();

--
-- Name: categories categories_parent_id_fkey; Type: FK CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.categories
    ADD CONSTRAINT categories_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES public.categories(id);

--
-- Name: countries countries_currency_code_fkey; Type: FK CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.countries
    ADD CONSTRAINT countries_currency_code_fkey FOREIGN KEY (currency_code) REFERENCES public.currencies(code);

--
-- Name: customer_addresses customer_addresses_customer_id_fkey; Type: FK CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.customer_addresses
    ADD CONSTRAINT customer_addresses_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

--
-- Name: newsletter_subscriptions newsletter_subscriptions_customer_id_fkey; Type: FK CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.newsletter_subscriptions
    ADD CONSTRAINT newsletter_subscriptions_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE SET NULL;

--
-- Name: order_events order_events_order_id_fkey; Type: FK CONSTRAINT; Schema: public
--

ALTER TABLE public.order_events
    ADD CONSTRAINT order_events_order_id_fkey FOREIGN KEY (order_id) REFERENCES public.orders(id) ON DELETE CASCADE;

--
-- Name: order_items order_items_order_id_fkey; Type: FK CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.order_items
    ADD CONSTRAINT order_items_order_id_fkey FOREIGN KEY (order_id) REFERENCES public.orders(id) ON DELETE CASCADE;

--
-- Name: order_items order_items_product_id_fkey; Type: FK CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.order_items
    ADD CONSTRAINT order_items_product_id_fkey FOREIGN KEY (product_id) REFERENCES public.products(id);

--
-- Name: orders orders_currency_code_fkey; Type: FK CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_currency_code_fkey FOREIGN KEY (currency_code) REFERENCES public.currencies(code);

--
-- Name: orders orders_customer_id_fkey; Type: FK CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

--
-- Name: orders orders_shipping_method_fkey; Type: FK CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_shipping_method_fkey FOREIGN KEY (shipping_method) REFERENCES public.shipping_methods(code);

--
-- Name: payments payments_order_id_fkey; Type: FK CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.payments
    ADD CONSTRAINT payments_order_id_fkey FOREIGN KEY (order_id) REFERENCES public.orders(id);

--
-- Name: price_changes price_changes_product_id_fkey; Type: FK CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.price_changes
    ADD CONSTRAINT price_changes_product_id_fkey FOREIGN KEY (product_id) REFERENCES public.products(id) ON DELETE CASCADE;

--
-- Name: price_list price_list_product_id_fkey; Type: FK CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.price_list
    ADD CONSTRAINT price_list_product_id_fkey FOREIGN KEY (product_id) REFERENCES public.products(id) ON DELETE CASCADE;

--
-- Name: products products_category_id_fkey; Type: FK CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.products
    ADD CONSTRAINT products_category_id_fkey FOREIGN KEY (category_id) REFERENCES public.categories(id);

--
-- Name: products products_currency_code_fkey; Type: FK CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.products
    ADD CONSTRAINT products_currency_code_fkey FOREIGN KEY (currency_code) REFERENCES public.currencies(code);

--
-- Name: reviews reviews_customer_id_fkey; Type: FK CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.reviews
    ADD CONSTRAINT reviews_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

--
-- Name: reviews reviews_product_id_fkey; Type: FK CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.reviews
    ADD CONSTRAINT reviews_product_id_fkey FOREIGN KEY (product_id) REFERENCES public.products(id) ON DELETE CASCADE;

--
-- Name: stock_levels stock_levels_product_id_fkey; Type: FK CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.stock_levels
    ADD CONSTRAINT stock_levels_product_id_fkey FOREIGN KEY (product_id) REFERENCES public.products(id) ON DELETE CASCADE;

--
-- Name: stock_levels stock_levels_warehouse_code_fkey; Type: FK CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.stock_levels
    ADD CONSTRAINT stock_levels_warehouse_code_fkey FOREIGN KEY (warehouse_code) REFERENCES public.warehouses(code) ON UPDATE CASCADE;

--
-- Name: tax_rates tax_rates_country_code_fkey; Type: FK CONSTRAINT; Schema: public
--

ALTER TABLE ONLY public.tax_rates
    ADD CONSTRAINT tax_rates_country_code_fkey FOREIGN KEY (country_code) REFERENCES public.countries(code);

--
-- Name: customer_addresses addresses_of_customer; Type: POLICY; Schema: public
--

CREATE POLICY addresses_of_customer ON public.customer_addresses TO shop_customer USING ((customer_id = (NULLIF(current_setting('shop.customer_id'::text, true), ''::text))::bigint));

--
-- Name: customer_addresses addresses_of_staff; Type: POLICY; Schema: public
--

CREATE POLICY addresses_of_staff ON public.customer_addresses TO shop_app USING (true) WITH CHECK (true);

--
-- Name: customer_addresses; Type: ROW SECURITY; Schema: public
--

ALTER TABLE public.customer_addresses ENABLE ROW LEVEL SECURITY;

--
-- Name: orders; Type: ROW SECURITY; Schema: public
--

ALTER TABLE public.orders ENABLE ROW LEVEL SECURITY;

--
-- Name: orders orders_of_customer; Type: POLICY; Schema: public
--

CREATE POLICY orders_of_customer ON public.orders FOR SELECT TO shop_customer USING ((customer_id = (NULLIF(current_setting('shop.customer_id'::text, true), ''::text))::bigint));

--
-- Name: POLICY orders_of_customer ON orders; Type: COMMENT; Schema: public
--

COMMENT ON POLICY orders_of_customer ON public.orders IS 'Customers see their own orders.';

--
-- Name: orders orders_of_reports; Type: POLICY; Schema: public
--

CREATE POLICY orders_of_reports ON public.orders FOR SELECT TO shop_reader USING ((status <> 'draft'::public.order_status));

--
-- Name: orders orders_of_staff; Type: POLICY; Schema: public
--

CREATE POLICY orders_of_staff ON public.orders TO shop_app USING (true) WITH CHECK (true);

--
-- Name: SCHEMA api; Type: ACL; Schema: -
--

GRANT USAGE ON SCHEMA api TO shop_app;

GRANT USAGE ON SCHEMA api TO shop_customer;

GRANT USAGE ON SCHEMA api TO shop_reader;

--
-- Name: FUNCTION place_order(wanted bigint); Type: ACL; Schema: api
--

REVOKE ALL ON FUNCTION api.place_order(wanted bigint) FROM PUBLIC;

GRANT ALL ON FUNCTION api.place_order(wanted bigint) TO shop_app;

--
-- Name: TABLE products; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.products TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.products TO shop_app;

--
-- Name: TABLE orders; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.orders TO shop_customer;

GRANT SELECT ON TABLE public.orders TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.orders TO shop_app;

--
-- Name: TABLE payments; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.payments TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.payments TO shop_app;

--
-- Name: TABLE customer_overview; Type: ACL; Schema: api
--

GRANT SELECT ON TABLE api.customer_overview TO shop_app;

GRANT SELECT ON TABLE api.customer_overview TO shop_reader;

--
-- Name: TABLE order_items; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.order_items TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.order_items TO shop_app;

--
-- Name: TABLE order_summary; Type: ACL; Schema: api
--

GRANT SELECT ON TABLE api.order_summary TO shop_app;

GRANT SELECT ON TABLE api.order_summary TO shop_customer;

GRANT SELECT ON TABLE api.order_summary TO shop_reader;

--
-- Name: TABLE campaigns; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.campaigns TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.campaigns TO shop_app;

--
-- Name: SEQUENCE campaigns_id_seq; Type: ACL; Schema: public
--

GRANT USAGE ON SEQUENCE public.campaigns_id_seq TO shop_app;

--
-- Name: TABLE categories; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.categories TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.categories TO shop_app;

--
-- Name: SEQUENCE categories_id_seq; Type: ACL; Schema: public
--

GRANT USAGE ON SEQUENCE public.categories_id_seq TO shop_app;

--
-- Name: TABLE countries; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.countries TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.countries TO shop_app;

--
-- Name: TABLE currencies; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.currencies TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.currencies TO shop_app;

--
-- Name: TABLE customer_addresses; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.customer_addresses TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.customer_addresses TO shop_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.customer_addresses TO shop_customer;

--
-- Name: SEQUENCE customer_addresses_id_seq; Type: ACL; Schema: public
--

GRANT USAGE ON SEQUENCE public.customer_addresses_id_seq TO shop_app;

--
-- Name: TABLE customers; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.customers TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.customers TO shop_app;

--
-- Name: SEQUENCE customers_id_seq; Type: ACL; Schema: public
--

GRANT USAGE ON SEQUENCE public.customers_id_seq TO shop_app;

--
-- Name: TABLE daily_sales; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.daily_sales TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.daily_sales TO shop_app;

--
-- Name: TABLE newsletter_subscriptions; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.newsletter_subscriptions TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.newsletter_subscriptions TO shop_app;

--
-- Name: TABLE order_events; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.order_events TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.order_events TO shop_app;

--
-- Name: SEQUENCE order_events_id_seq; Type: ACL; Schema: public
--

GRANT USAGE ON SEQUENCE public.order_events_id_seq TO shop_app;

--
-- Name: TABLE order_events_2023; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.order_events_2023 TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.order_events_2023 TO shop_app;

--
-- Name: TABLE order_events_2024; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.order_events_2024 TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.order_events_2024 TO shop_app;

--
-- Name: TABLE order_events_2025; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.order_events_2025 TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.order_events_2025 TO shop_app;

--
-- Name: TABLE order_events_later; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.order_events_later TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.order_events_later TO shop_app;

--
-- Name: SEQUENCE orders_id_seq; Type: ACL; Schema: public
--

GRANT USAGE ON SEQUENCE public.orders_id_seq TO shop_app;

--
-- Name: SEQUENCE payments_id_seq; Type: ACL; Schema: public
--

GRANT USAGE ON SEQUENCE public.payments_id_seq TO shop_app;

--
-- Name: TABLE price_changes; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.price_changes TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.price_changes TO shop_app;

--
-- Name: SEQUENCE price_changes_id_seq; Type: ACL; Schema: public
--

GRANT USAGE ON SEQUENCE public.price_changes_id_seq TO shop_app;

--
-- Name: TABLE price_list; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.price_list TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.price_list TO shop_app;

--
-- Name: SEQUENCE price_list_id_seq; Type: ACL; Schema: public
--

GRANT USAGE ON SEQUENCE public.price_list_id_seq TO shop_app;

--
-- Name: SEQUENCE products_id_seq; Type: ACL; Schema: public
--

GRANT USAGE ON SEQUENCE public.products_id_seq TO shop_app;

--
-- Name: TABLE reviews; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.reviews TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.reviews TO shop_app;

--
-- Name: SEQUENCE reviews_id_seq; Type: ACL; Schema: public
--

GRANT USAGE ON SEQUENCE public.reviews_id_seq TO shop_app;

--
-- Name: TABLE shipping_methods; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.shipping_methods TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.shipping_methods TO shop_app;

--
-- Name: TABLE shop_settings; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.shop_settings TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.shop_settings TO shop_app;

--
-- Name: TABLE stock_levels; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.stock_levels TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.stock_levels TO shop_app;

--
-- Name: TABLE stock_overview; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.stock_overview TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.stock_overview TO shop_app;

--
-- Name: TABLE tax_rates; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.tax_rates TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.tax_rates TO shop_app;

--
-- Name: TABLE warehouses; Type: ACL; Schema: public
--

GRANT SELECT ON TABLE public.warehouses TO shop_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.warehouses TO shop_app;

--
-- Name: daily_sales; Type: MATERIALIZED VIEW DATA; Schema: public
--

REFRESH MATERIALIZED VIEW public.daily_sales;

--
-- Name: dbbuild; Type: HISTORY; Schema: -
--

CREATE SCHEMA IF NOT EXISTS dbbuild;
COMMENT ON SCHEMA dbbuild IS 'What dbbuild applied to this database; read it with `dbbuild status` and `dbbuild log`.';
CREATE TABLE IF NOT EXISTS dbbuild.migration (
    version text PRIMARY KEY CHECK (version ~ '^[0-9]+$'),
    name text NOT NULL,
    checksum text NOT NULL,
    position bigint GENERATED BY DEFAULT AS IDENTITY,
    state text NOT NULL DEFAULT 'applied' CHECK (state IN ('started', 'applied')),
    origin text NOT NULL DEFAULT 'baseline' CHECK (origin IN ('run', 'baseline', 'adopted', 'marked')),
    transactional boolean,
    up_sql text,
    down_sql text,
    applied_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    duration interval,
    applied_by text NOT NULL DEFAULT SESSION_USER,
    git_commit text,
    dbbuild_version text,
    body_checksum text,
    pipeline text,
    run_by text
);
COMMENT ON TABLE dbbuild.migration IS 'One row for each applied migration.';
COMMENT ON COLUMN dbbuild.migration.version IS 'Version, as the file name has it.';
COMMENT ON COLUMN dbbuild.migration.name IS 'Name, as the file name has it after the version.';
COMMENT ON COLUMN dbbuild.migration.checksum IS 'SHA-256 of the file with LF line ends and without byte order mark, in hexadecimal.';
COMMENT ON COLUMN dbbuild.migration.position IS 'Order of application.';
COMMENT ON COLUMN dbbuild.migration.state IS 'started: a non-transactional migration is under way or was interrupted; applied: done.';
COMMENT ON COLUMN dbbuild.migration.origin IS 'run: dbbuild ran the file here; baseline: it came with the baseline; adopted: it was here before dbbuild; marked: recorded without running, as its precondition says.';
COMMENT ON COLUMN dbbuild.migration.transactional IS 'Whether it ran in one transaction with this row; null from a baseline.';
COMMENT ON COLUMN dbbuild.migration.up_sql IS 'The text that was run; null from a plain load of a baseline, for texts over 64 MiB and for the body of a secure migration.';
COMMENT ON COLUMN dbbuild.migration.down_sql IS 'The text that takes it back, if the file has one.';
COMMENT ON COLUMN dbbuild.migration.applied_at IS 'When it began.';
COMMENT ON COLUMN dbbuild.migration.duration IS 'How long it took.';
COMMENT ON COLUMN dbbuild.migration.applied_by IS 'The role that was connected.';
COMMENT ON COLUMN dbbuild.migration.git_commit IS 'The commit that was checked out; with a + where the file differed from it.';
COMMENT ON COLUMN dbbuild.migration.dbbuild_version IS 'The dbbuild that ran it.';
COMMENT ON COLUMN dbbuild.migration.body_checksum IS 'Of a secure migration: SHA-256 of the body that ran; null where the stand-in ran.';
COMMENT ON COLUMN dbbuild.migration.pipeline IS 'The run of the pipeline that started dbbuild: its address or name.';
COMMENT ON COLUMN dbbuild.migration.run_by IS 'Who started it: the account that the pipeline names, else the user of the operating system.';
CREATE TABLE IF NOT EXISTS dbbuild.file (
    kind text NOT NULL CHECK (kind IN ('repeatable', 'init', 'testdata')),
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    duration interval,
    applied_by text NOT NULL DEFAULT SESSION_USER,
    git_commit text,
    dbbuild_version text,
    pipeline text,
    run_by text,
    PRIMARY KEY (kind, name)
);
COMMENT ON TABLE dbbuild.file IS 'The last run of each repeatable, init and test-data file.';
COMMENT ON COLUMN dbbuild.file.kind IS 'repeatable, init or testdata.';
COMMENT ON COLUMN dbbuild.file.name IS 'Path below the folder of its kind.';
COMMENT ON COLUMN dbbuild.file.checksum IS 'SHA-256 of the file as it ran.';
COMMENT ON COLUMN dbbuild.file.applied_at IS 'When it last began.';
COMMENT ON COLUMN dbbuild.file.duration IS 'How long it took.';
COMMENT ON COLUMN dbbuild.file.applied_by IS 'The role that was connected.';
COMMENT ON COLUMN dbbuild.file.git_commit IS 'The commit that was checked out.';
COMMENT ON COLUMN dbbuild.file.dbbuild_version IS 'The dbbuild that ran it.';
COMMENT ON COLUMN dbbuild.file.pipeline IS 'The run of the pipeline that started dbbuild: its address or name.';
COMMENT ON COLUMN dbbuild.file.run_by IS 'Who started it: the account that the pipeline names, else the user of the operating system.';
CREATE TABLE IF NOT EXISTS dbbuild.statement (
    version text NOT NULL,
    ordinal integer NOT NULL,
    checksum text NOT NULL,
    state text NOT NULL CHECK (state IN ('started', 'done')),
    indexes oid[],
    started_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    duration interval,
    line integer,
    rows bigint,
    PRIMARY KEY (version, ordinal)
);
COMMENT ON TABLE dbbuild.statement IS 'The journal of non-transactional migrations, statement by statement; and how long statements of others took.';
COMMENT ON COLUMN dbbuild.statement.version IS 'The migration.';
COMMENT ON COLUMN dbbuild.statement.ordinal IS 'The statement of its up part, from 1.';
COMMENT ON COLUMN dbbuild.statement.checksum IS 'SHA-256 of the statement.';
COMMENT ON COLUMN dbbuild.statement.state IS 'started: it may or may not have happened; done: it happened.';
COMMENT ON COLUMN dbbuild.statement.indexes IS 'Indexes that stood before a concurrent index build.';
COMMENT ON COLUMN dbbuild.statement.started_at IS 'When it began.';
COMMENT ON COLUMN dbbuild.statement.duration IS 'How long it took.';
COMMENT ON COLUMN dbbuild.statement.line IS 'The line of the file at which it begins.';
COMMENT ON COLUMN dbbuild.statement.rows IS 'Rows that it touched; of a batch all rows so far.';
CREATE TABLE IF NOT EXISTS dbbuild.environment (
    one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    name text NOT NULL,
    protected boolean NOT NULL,
    system_identifier text NOT NULL,
    database_oid oid NOT NULL,
    server_id text,
    marked_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    marked_by text NOT NULL DEFAULT SESSION_USER
);
COMMENT ON TABLE dbbuild.environment IS 'What this database is; valid only in the very database that it was written in.';
COMMENT ON COLUMN dbbuild.environment.one_row IS 'Keeps this table at one row.';
COMMENT ON COLUMN dbbuild.environment.name IS 'The environment.';
COMMENT ON COLUMN dbbuild.environment.protected IS 'No test data, no reset, no drop.';
COMMENT ON COLUMN dbbuild.environment.system_identifier IS 'The server that it was marked on.';
COMMENT ON COLUMN dbbuild.environment.database_oid IS 'The database that it was marked in.';
COMMENT ON COLUMN dbbuild.environment.server_id IS 'The random id of a server that dbbuild runs itself.';
COMMENT ON COLUMN dbbuild.environment.marked_at IS 'When it was marked.';
COMMENT ON COLUMN dbbuild.environment.marked_by IS 'The role that marked it.';
CREATE TABLE IF NOT EXISTS dbbuild.taken_back (
    version text NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    taken_back_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    duration interval,
    taken_back_by text NOT NULL DEFAULT SESSION_USER,
    git_commit text,
    dbbuild_version text,
    pipeline text,
    run_by text
);
COMMENT ON TABLE dbbuild.taken_back IS 'One row for each time that a migration was taken back.';
COMMENT ON COLUMN dbbuild.taken_back.version IS 'Version, as the file name has it.';
COMMENT ON COLUMN dbbuild.taken_back.name IS 'Name, as the file name has it after the version.';
COMMENT ON COLUMN dbbuild.taken_back.checksum IS 'SHA-256 of the file that had been applied.';
COMMENT ON COLUMN dbbuild.taken_back.taken_back_at IS 'When it was done.';
COMMENT ON COLUMN dbbuild.taken_back.duration IS 'How long it took; null where the down part ran in no transaction.';
COMMENT ON COLUMN dbbuild.taken_back.taken_back_by IS 'The role that was connected.';
COMMENT ON COLUMN dbbuild.taken_back.git_commit IS 'The commit that was checked out, with a + where the files differed from it.';
COMMENT ON COLUMN dbbuild.taken_back.dbbuild_version IS 'The dbbuild that did it.';
COMMENT ON COLUMN dbbuild.taken_back.pipeline IS 'The run of a pipeline that did it.';
COMMENT ON COLUMN dbbuild.taken_back.run_by IS 'Who started it.';

COPY dbbuild.migration (version, name, checksum) FROM stdin;
20240108090000	create_roles	9597f241757fb8b72be205f8e8c98bcfdc2c40eaeeb27fdae4ae912ff9632005
20240108091500	create_reference_tables	40bd716346df9963918c3032794bfaa0e02c198d1107bad47ff94226599981e6
20240109100000	create_types	8fe319e1ad5e3521fbfd4412e9c6b0d0339eab4ec682dc43dc47e1f3b6f36750
20240110100000	create_customers	fbf6a1444579538bca2bcf3971145b98a1694b505b245ccedf04a2922d4c6ddc
20240111100000	create_customer_addresses	82505a673cd056cf3412885b1c45b07b38b3c7626e1ad44f061a8f37cff0f33a
20240112100000	create_categories	aa149e39f4b63cbabd9c43329cd782ed39c4b60fccb2a0078e075d31b119a9e0
20240115100000	create_products	d1f8a9e9076a71c6701352e96fe4a3b29c70ac998609aafd4c4c3fdc2bdf8e09
20240116100000	create_warehouses	96dd16d5936fb5eb15d7dd7be5856fcbf213658817ac8c0590b52d5173f98d4f
20240118100000	create_orders	8c1424d6131050e9ec5f2366e9db9f2cabac62b1e90eb139149979a5bd5ad71e
20240119100000	create_order_items	7361701236519d0c24a646252a4a20b7a487320a03c2336aa38527b168b9565c
20240122100000	create_payments	e35867d78ad4c6b86bd268ad1b854ccf6e65e39f678afb0f54f5d37e2903e660
20240124100000	create_tax_rates_and_shipping_methods	5c52dc90b05f046d7448ca668353aaaeefa5a90e50c2da6c5c040bef1e4f4071
20240201090000	index_orders_by_customer	627a6bab8e32a869a9db59e1acbcc4e55b7956ccb1197efd79f1c8d8521f72a4
20240205090000	add_updated_at	f47f2158fe80e198d097ca6275ea439ee012e076382e20334fe68c613f3adb22
20240212090000	create_order_events	4b413572b87a6ca9cc1c8ed2f1a2157db349cf90f5feb35b0e98540dbf3bde84
20240219090000	create_campaigns	0cf2465fd3617786e0284ecc9c26a27ae62aa0325e834a918379c2b92e61a06d
20240226090000	create_price_list	12c1e2681baee903cd7b6ac7ef065f39ac6a10ce46d212634f53feeda5bd1ced
20240304090000	create_newsletter_subscriptions	cf8931d9b1aca87c3234df4d8350bbea79d0b24af99c5881744d33e95a85400e
20240311090000	rename_product_title_expand	aa51fca9108838251be2118f5fcdd8654831f9adebc062c85e75a29d32b6857b
20240312090000	rename_product_title_backfill	791cd90bf0b297aec0b6a997ed940c6143c936f0131716a7909d70cdcb7dfa6e
20240313090000	rename_product_title_contract	8f0d25d145ac9552f8aec9339278c6d3f59d6154e4554757cc19a767ab428dbe
20240318090000	split_customer_name_expand	f90ee2573ef1fab686f106ae4eefe1ed2f90cc9cb2e38181c457e8482039d067
20240319090000	split_customer_name_backfill	54d97dff546c8b8373711c84732fcaa7b9cf6cee703ee3091a2882121f937b8b
20240320090000	split_customer_name_contract	cafa2a27a56dee1066f16432845fd0ed5d5c4542ae0ed5dd11263707425e7d90
20240326090000	add_order_total	c1fa75dec8ad92e3524e4491ffb6f8add601650b62718d8c228a486df85198ec
20240327090000	backfill_order_total	b9897d8ea65e4328990e6ea5cfcf96fe3ffe6d8226fd9085f01dafd674fb3742
20240328090000	require_order_total	a4e4d42ff9a33201845287cd12ccd273d44c9c270c74147e4792a2b536d90662
20240402090000	add_product_search	15a6f31371ac3f1b4cc32162b24d7f660e290bcb746b30a34d5d76c4740c4d33
20240408090000	enable_trigrams	21acdb2d540a1efd12a6914c5c9d1877c7c95979ba55747fdc44843a201c8205
20240409090000	index_product_names	fd4efb88fc332a5ab8bde0144af393d32cc92ab7a3ec0e3ebcef5e0b3f8a4d31
20240415090000	create_reviews	62b2b58baeb5c210fee6c06256df70e385f56ef2b76fb649b18eb8f59003874b
20240416090000	validate_review_keys	4b2095bb91c35c84f80e625eca9f74867be64cdcfc4c65fa2e5bcbdef05f0147
20240422090000	add_payment_method_wallet	62fbb10d1071228f882257d98abffcc383fb4aaf0680e97ae5fbb106ca18398d
20240429090000	secure_orders_by_row	7935ed92d7d0f3a905ed87725f2e4ee023b41c3b809de8ec63dc1076fbc8e58d
20240506090000	create_order_balance	8085c8b74d88cd1468e8842d2525ec463165346cf791ed668c92e67d9cce9d0e
20240513090000	create_price_changes	1f41544204ca7672b22db0539899c1bd5ebdbbe07942ffec8faf38524028d769
20240520090000	add_product_attributes	ba9d00f4391f8ae8fed1edb2cadc4d2591217f63d5cada7236c4274d32cd3672
20240527090000	add_category_path	6d0041511ae007066f1694b76d9414a3edca7cc713d161876b328b43aee0f44a
20240603090000	create_stock_overview	a2fda69a67ae6fbbccc07890c68e130f928d882e1c2d5dc1d199ad193499bd28
20240610090000	create_daily_sales	e8ed4c7f2f5f8a0c8fc4c8e2cccc4bfdf72d85782415494c29b14a8cfcff2285
20240617090000	create_shop_settings	8e13acb13ccf29c775f0c16c2b946c61a4d7ffd5a182132166fa50ab6f978fc0
20240624090000	create_api_schema	72c6bc2cf0c41a2f2c7fbecf7b57093efa32785674a824247a4271dfeea936fd
20240701090000	add_order_item_note	eba361ef2fc2cdb57d8a83866b79aee5a1d34ef243aba9903deb2fbcd7a285bb
\.

COPY dbbuild.file (kind, name, checksum) FROM stdin;
init	10_currencies.sql	96d2b8e1beb4c66e20372ab23c230c1cf76e409c8454302b7ef9349d3f049dec
init	20_countries.sql	77a42ca0aa89fd2b2c6f54ed074f4a22b941f3b9e249d7836226707baee42652
init	30_tax_rates.sql	1e37e56014f832f432e0ecea08b5925b2a25839966beffa0404739f9047b80bd
init	40_shipping_methods.sql	41368a89df83653bee56a2899b275f906c43107f4b190b30553bfcf48b80ad11
init	50_categories.sql	d4bedc3f70f47d84768dc09a4a14a83afc0997e3ba22a714232977990f7b3ddb
repeatable	category_paths.sql	866bb62633d9d27092d8bfe1b2a7bf2b62505dfe5efdd6e4d05db3aee0f105d6
repeatable	customer_overview.sql	793e0998216e8e925a4aa47b8b7aa7a75bb42116c4af69fb06333c5d1af6781d
repeatable	order_events.sql	709489bad4821a27c397f44bb26647745503dff75c36a4e15ea7a29068f6182d
repeatable	order_summary.sql	34bab41112d82c6788a962d9dd8b68795b0648bac2e3761c309f5c362e1eafdb
repeatable	order_totals.sql	5a69684db6e12e170e113bb6bd2893d65b8797543f5ae70092d9234e1203e2b0
repeatable	place_order.sql	86bc3460da38fe6ed5565443b602ca52e681e30a86a33fdac19ae988a55fde47
repeatable	price_changes.sql	aca360cf44dba5421686bf6c12919174f58a71a4dfaca936d4334f2dbb2d8656
repeatable	product_search.sql	eba205bb2167ff34c097065fd2c10de9f0aef8bb2f0672057ea678ac57390bfd
repeatable	product_suggestions.sql	86f7a2229bec108794520d0365a0de6f44e38b43670ca98c4b4b311037364133
repeatable	zz_grants.sql	f0ac3b9fd875ca281dcfeb856393d66f4df019a0969f2869d1f5f6f70b10227b
\.

-- dbbuild:end
