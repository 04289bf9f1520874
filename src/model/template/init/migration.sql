-- An example; `dbbuild new NAME` writes the next one. A migration runs once in each database, in the order of the
-- numbers that the names begin with.

-- migrate:up
CREATE TABLE IF NOT EXISTS greetings (
    language text PRIMARY KEY,
    greeting text NOT NULL
);
COMMENT ON TABLE greetings IS 'How people are greeted.';
COMMENT ON COLUMN greetings.language IS 'ISO 639-1 code of the language.';
COMMENT ON COLUMN greetings.greeting IS 'What is said.';

-- migrate:down
DROP TABLE IF EXISTS greetings;
