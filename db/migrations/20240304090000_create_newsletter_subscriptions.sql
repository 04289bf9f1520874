-- needs contrib: citext

-- migrate:up
CREATE EXTENSION IF NOT EXISTS citext;

CREATE TABLE IF NOT EXISTS newsletter_subscriptions (
    email citext PRIMARY KEY,
    customer_id bigint REFERENCES customers ON DELETE SET NULL,
    confirmed boolean NOT NULL DEFAULT false,
    topics text[] NOT NULL DEFAULT ARRAY['offers']::text[]
        CONSTRAINT newsletter_subscriptions_topics_known CHECK (topics <@ ARRAY['offers', 'news', 'stock']::text[])
);
CREATE INDEX IF NOT EXISTS newsletter_subscriptions_customer_id_idx ON newsletter_subscriptions (customer_id);
COMMENT ON TABLE newsletter_subscriptions IS 'Who gets the newsletter; no account is needed.';
COMMENT ON COLUMN newsletter_subscriptions.email IS 'Where it is sent; compared without regard to case.';
COMMENT ON COLUMN newsletter_subscriptions.customer_id IS 'The account with this address, if any.';
COMMENT ON COLUMN newsletter_subscriptions.confirmed IS 'Whether the address was confirmed.';
COMMENT ON COLUMN newsletter_subscriptions.topics IS 'What the subscriber wants to read about.';

-- migrate:down
DROP TABLE IF EXISTS newsletter_subscriptions;
DROP EXTENSION IF EXISTS citext;
