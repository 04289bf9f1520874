-- Foreign keys whose first column begins no index: deleting what they point at would read the whole table.
SELECT k.conrelid::regclass AS "table", k.conname AS foreign_key
FROM pg_constraint k
WHERE k.contype = 'f'
    AND k.connamespace = 'public'::regnamespace
    AND NOT EXISTS (
        SELECT FROM pg_index i WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indkey[0] = k.conkey[1]
    )
ORDER BY 1, 2;
