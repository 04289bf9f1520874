-- NOT NULL without a long lock, step 3 of 3: the validated check proves it, so that SET NOT NULL reads nothing.

-- migrate:up
ALTER TABLE {{table}} ALTER COLUMN {{column}} SET NOT NULL;
ALTER TABLE {{table}} DROP CONSTRAINT IF EXISTS {{constraint}};

-- migrate:down
ALTER TABLE {{table}} ADD CONSTRAINT {{constraint}} CHECK ({{column}} IS NOT NULL);
ALTER TABLE {{table}} ALTER COLUMN {{column}} DROP NOT NULL;
