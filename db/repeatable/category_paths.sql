-- needs contrib: ltree
-- Keeps categories.path; a category that moves takes its branch with it.
CREATE OR REPLACE FUNCTION api.set_category_path() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    NEW.path := public.text2ltree(concat_ws('.',
        (SELECT public.ltree2text(parent.path) FROM public.categories parent WHERE parent.id = NEW.parent_id), NEW.slug));
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION api.set_category_path() IS 'Trigger: derives the path of a category from its parent.';

CREATE OR REPLACE FUNCTION api.move_category_branch() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE public.categories SET slug = slug WHERE parent_id = NEW.id;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION api.move_category_branch() IS 'Trigger: renews the paths below a category.';

CREATE OR REPLACE TRIGGER categories_set_path BEFORE INSERT OR UPDATE OF parent_id, slug ON categories
    FOR EACH ROW EXECUTE FUNCTION api.set_category_path();
CREATE OR REPLACE TRIGGER categories_move_branch AFTER UPDATE OF parent_id, slug ON categories
    FOR EACH ROW WHEN (NEW.path::text IS DISTINCT FROM OLD.path::text) EXECUTE FUNCTION api.move_category_branch();
