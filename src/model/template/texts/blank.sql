-- Say what this changes, and why.

-- migrate:up
-- Running this twice must change nothing the second time: use IF NOT EXISTS, CREATE OR REPLACE, ON CONFLICT DO NOTHING,
-- UPDATE … WHERE it is not so yet. `dbbuild new --help` lists templates for changes that need more than one step.

-- migrate:down
-- The way back: DROP … IF EXISTS, in the opposite order.
