-- migrate:up
CREATE TABLE IF NOT EXISTS {{table}} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    {{column}} {{type}} NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE {{table}} IS 'Say what one row is.';
COMMENT ON COLUMN {{table}}.id IS 'Surrogate key.';
COMMENT ON COLUMN {{table}}.{{column}} IS 'Say what it means, and in which unit.';
COMMENT ON COLUMN {{table}}.created_at IS 'When the row was made.';

-- migrate:down
DROP TABLE IF EXISTS {{table}};
