CREATE SCHEMA IF NOT EXISTS dbbuild_attic;
COMMENT ON SCHEMA dbbuild_attic IS 'What migrations that were taken back had in them; read it with `dbbuild attic`.';
CREATE TABLE IF NOT EXISTS dbbuild_attic.format (
    one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    version integer NOT NULL
);
COMMENT ON TABLE dbbuild_attic.format IS 'The form of this schema.';
COMMENT ON COLUMN dbbuild_attic.format.one_row IS 'Keeps this table at one row.';
COMMENT ON COLUMN dbbuild_attic.format.version IS 'A dbbuild that does not know this number leaves everything as it is.';
INSERT INTO dbbuild_attic.format (version) VALUES (1) ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS dbbuild_attic.entry (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version text NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('table', 'column', 'value', 'row', 'sequence')),
    reason text NOT NULL CHECK (reason IN ('dropped', 'emptied', 'narrowed', 'changed', 'deleted', 'refused', 'dependent')),
    schema_name text NOT NULL,
    table_name text NOT NULL,
    columns text[] NOT NULL,
    key_columns text[] NOT NULL,
    whole_rows boolean NOT NULL,
    holds text,
    rows bigint NOT NULL,
    details jsonb,
    kept_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    kept_by text NOT NULL DEFAULT SESSION_USER,
    git_commit text,
    dbbuild_version text NOT NULL
);
COMMENT ON TABLE dbbuild_attic.entry IS 'One row for each thing that a down part dropped, changed or deleted and that was not given back yet.';
COMMENT ON COLUMN dbbuild_attic.entry.id IS 'Order of keeping.';
COMMENT ON COLUMN dbbuild_attic.entry.version IS 'The migration that was taken back.';
COMMENT ON COLUMN dbbuild_attic.entry.name IS 'Its name.';
COMMENT ON COLUMN dbbuild_attic.entry.checksum IS 'Its checksum, as the version table had it.';
COMMENT ON COLUMN dbbuild_attic.entry.kind IS 'table, row: whole rows; column: the values of dropped columns; value: single values that were changed; sequence: a position.';
COMMENT ON COLUMN dbbuild_attic.entry.reason IS 'dropped, emptied, narrowed, changed, deleted: what the down part did; refused: the older schema cannot hold it; dependent: it referred to a refused row.';
COMMENT ON COLUMN dbbuild_attic.entry.schema_name IS 'The schema of the table or sequence, before the down part ran.';
COMMENT ON COLUMN dbbuild_attic.entry.table_name IS 'The table or sequence, before the down part ran.';
COMMENT ON COLUMN dbbuild_attic.entry.columns IS 'The kept columns: v1, v2, … of the table that holds them.';
COMMENT ON COLUMN dbbuild_attic.entry.key_columns IS 'What a row is found by: k1, k2, … of the table that holds the values.';
COMMENT ON COLUMN dbbuild_attic.entry.whole_rows IS 'There was no key: rows are found by all their other columns, and equal ones are numbered.';
COMMENT ON COLUMN dbbuild_attic.entry.holds IS 'The table of this schema that holds the rows; null for a sequence.';
COMMENT ON COLUMN dbbuild_attic.entry.rows IS 'How many rows were kept.';
COMMENT ON COLUMN dbbuild_attic.entry.details IS 'Types of the kept columns by name; the position of a sequence.';
COMMENT ON COLUMN dbbuild_attic.entry.kept_at IS 'When.';
COMMENT ON COLUMN dbbuild_attic.entry.kept_by IS 'The role that was connected.';
COMMENT ON COLUMN dbbuild_attic.entry.git_commit IS 'The commit that was checked out.';
COMMENT ON COLUMN dbbuild_attic.entry.dbbuild_version IS 'The dbbuild that kept it.';
