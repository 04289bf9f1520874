-- Roles belong to the cluster, not to the database: another database may have made them already.
-- They cannot log in here; db/roles.toml says which of them may, and how.

-- migrate:up
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['shop_reader', 'shop_app', 'shop_customer'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
END
$$;

-- migrate:down
DO $$
DECLARE
    unwanted text;
BEGIN
    FOREACH unwanted IN ARRAY ARRAY['shop_customer', 'shop_app', 'shop_reader'] LOOP
        BEGIN
            EXECUTE format('DROP ROLE IF EXISTS %I', unwanted);
        EXCEPTION WHEN dependent_objects_still_exist THEN
            RAISE NOTICE 'role % is kept: another database of this cluster uses it', unwanted;
        END;
    END LOOP;
END
$$;
