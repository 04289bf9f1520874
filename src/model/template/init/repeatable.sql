-- Views, functions, triggers and grants: run after the migrations, again whenever this text changes.
-- A line like `-- dbbuild:after other_file.sql` puts a file after another one; else they run in name order.
CREATE OR REPLACE VIEW greeting_list AS
SELECT string_agg(greeting, ', ' ORDER BY language) AS greetings
FROM greetings;
COMMENT ON VIEW greeting_list IS 'All greetings in one line.';
