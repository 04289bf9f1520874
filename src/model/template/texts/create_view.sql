-- A view is easier to change as a repeatable file (db/repeatable): CREATE OR REPLACE can only add columns at the end.

-- migrate:up
CREATE OR REPLACE VIEW {{object}} AS
SELECT t.{{key}}, t.{{column}}
FROM {{table}} t;
COMMENT ON VIEW {{object}} IS 'Say what one row is.';

-- migrate:down
DROP VIEW IF EXISTS {{object}};
