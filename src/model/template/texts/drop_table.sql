-- Deploy this once nothing reads or writes the table any more. Without CASCADE it fails where something still hangs on it.

-- migrate:up
DROP TABLE IF EXISTS {{table}};

-- migrate:down
-- Write the definition here as it was; the rows do not come back.
CREATE TABLE IF NOT EXISTS {{table}} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    {{column}} {{type}}
);
