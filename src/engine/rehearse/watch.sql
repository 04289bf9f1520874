CREATE SCHEMA dbbuild_rehearsal;
CREATE UNLOGGED TABLE dbbuild_rehearsal.moment (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind text, name text, done boolean, at double precision, lsn pg_lsn
);
CREATE UNLOGGED TABLE dbbuild_rehearsal.relation (
    moment bigint, oid oid, name text, filenode oid, bytes bigint, modes text[], inserted bigint, updated bigint, deleted bigint
);
CREATE VIEW dbbuild_rehearsal.everything AS
SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, c.relfilenode AS filenode, c.relkind
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^pg_(toast|temp)'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbbuild', 'dbbuild_attic', 'dbbuild_rehearsal');
INSERT INTO dbbuild_rehearsal.relation
SELECT 0, e.oid, e.name, e.filenode, pg_catalog.pg_total_relation_size(e.oid) FROM dbbuild_rehearsal.everything e;

CREATE FUNCTION dbbuild_rehearsal.begin() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE r jsonb := to_jsonb(NEW);
BEGIN
    INSERT INTO dbbuild_rehearsal.moment (kind, name, done, at, lsn)
    VALUES (COALESCE(r ->> 'kind', 'migration'), COALESCE(r ->> 'version', r ->> 'name'), false,
            EXTRACT(epoch FROM clock_timestamp()), pg_current_wal_insert_lsn());
    RETURN NEW;
END $$;

-- At the end of the transaction, when every lock of it is still held.
CREATE FUNCTION dbbuild_rehearsal.done() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE r jsonb := to_jsonb(NEW); m bigint;
BEGIN
    INSERT INTO dbbuild_rehearsal.moment (kind, name, done, at, lsn)
    VALUES (COALESCE(r ->> 'kind', 'migration'), COALESCE(r ->> 'version', r ->> 'name'), true,
            EXTRACT(epoch FROM clock_timestamp()), pg_current_wal_insert_lsn()) RETURNING id INTO m;
    INSERT INTO dbbuild_rehearsal.relation
    SELECT m, COALESCE(e.oid, l.oid), e.name, e.filenode, CASE WHEN e.oid IS NOT NULL THEN pg_total_relation_size(e.oid) END,
           l.modes, CASE WHEN l.oid IS NOT NULL THEN pg_stat_get_xact_tuples_inserted(e.oid) END,
           CASE WHEN l.oid IS NOT NULL THEN pg_stat_get_xact_tuples_updated(e.oid) END,
           CASE WHEN l.oid IS NOT NULL THEN pg_stat_get_xact_tuples_deleted(e.oid) END
    FROM dbbuild_rehearsal.everything e
    FULL JOIN (
        SELECT relation AS oid, array_agg(DISTINCT mode) AS modes FROM pg_locks
        WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted
          AND database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
        GROUP BY relation
    ) l ON l.oid = e.oid
    WHERE (l.oid IS NOT NULL AND (e.oid IS NOT NULL OR EXISTS (SELECT FROM dbbuild_rehearsal.relation k WHERE k.oid = l.oid)))
       OR (r ->> 'transactional') = 'false';
    RETURN NULL;
END $$;
CREATE TRIGGER dbbuild_rehearsal_begin BEFORE INSERT ON dbbuild.migration
    FOR EACH ROW EXECUTE FUNCTION dbbuild_rehearsal.begin();
CREATE TRIGGER dbbuild_rehearsal_begin BEFORE INSERT ON dbbuild.file
    FOR EACH ROW EXECUTE FUNCTION dbbuild_rehearsal.begin();
CREATE CONSTRAINT TRIGGER dbbuild_rehearsal_done AFTER INSERT OR UPDATE ON dbbuild.migration
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dbbuild_rehearsal.done();
-- The first migration says of files that are to run that they are due (a checksum of zeros); they have not run then.
CREATE CONSTRAINT TRIGGER dbbuild_rehearsal_done AFTER INSERT OR UPDATE ON dbbuild.file
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.checksum !~ '^0+$') EXECUTE FUNCTION dbbuild_rehearsal.done();
