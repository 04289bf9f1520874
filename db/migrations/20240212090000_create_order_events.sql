-- A partitioned table. The bounds are literals: a partition named after today would differ from machine to machine.

-- migrate:up
CREATE SEQUENCE IF NOT EXISTS order_events_id_seq;
CREATE TABLE IF NOT EXISTS order_events (
    id bigint NOT NULL DEFAULT nextval('order_events_id_seq'),
    order_id bigint NOT NULL REFERENCES orders ON DELETE CASCADE,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    old_status order_status,
    new_status order_status NOT NULL,
    PRIMARY KEY (id, occurred_at)
) PARTITION BY RANGE (occurred_at);
ALTER SEQUENCE order_events_id_seq OWNED BY order_events.id;

CREATE TABLE IF NOT EXISTS order_events_2023 PARTITION OF order_events
    FOR VALUES FROM (MINVALUE) TO ('2024-01-01 00:00:00+00');
CREATE TABLE IF NOT EXISTS order_events_2024 PARTITION OF order_events
    FOR VALUES FROM ('2024-01-01 00:00:00+00') TO ('2025-01-01 00:00:00+00');
CREATE TABLE IF NOT EXISTS order_events_2025 PARTITION OF order_events
    FOR VALUES FROM ('2025-01-01 00:00:00+00') TO ('2026-01-01 00:00:00+00');
CREATE TABLE IF NOT EXISTS order_events_later PARTITION OF order_events DEFAULT;
CREATE INDEX IF NOT EXISTS order_events_order_id_idx ON order_events (order_id, occurred_at);

COMMENT ON TABLE order_events IS 'Every change of the status of an order.';
COMMENT ON COLUMN order_events.id IS 'Surrogate key.';
COMMENT ON COLUMN order_events.order_id IS 'The order.';
COMMENT ON COLUMN order_events.occurred_at IS 'When it happened; decides the partition.';
COMMENT ON COLUMN order_events.old_status IS 'Status before; null for a new order.';
COMMENT ON COLUMN order_events.new_status IS 'Status since then.';
COMMENT ON TABLE order_events_2023 IS 'Events until the end of 2023.';
COMMENT ON TABLE order_events_2024 IS 'Events of 2024.';
COMMENT ON TABLE order_events_2025 IS 'Events of 2025.';
COMMENT ON TABLE order_events_later IS 'Events that no other partition takes.';

-- migrate:down
DROP TABLE IF EXISTS order_events;
DROP SEQUENCE IF EXISTS order_events_id_seq;
