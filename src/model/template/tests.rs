//! Tries every template and first file on its text; that they run is tried on servers.

use super::*;
use crate::model::config::Paths;

fn all() -> Vec<(&'static str, Vec<TemplateFile>)> {
    names().iter().map(|t| (t.name, render(t.name, "my_change", &Params::default()).unwrap())).collect()
}

#[test]
fn every_placeholder_is_known() {
    for (name, files) in all() {
        for file in files {
            assert!(!file.text.contains("{{") && !file.text.contains("}}"), "{name}: {}", file.text);
        }
    }
}

#[test]
fn every_file_has_both_sections_once_and_ends_with_a_newline() {
    for (name, files) in all() {
        assert!(!files.is_empty());
        for file in files {
            assert_eq!(file.text.lines().filter(|l| l.starts_with("-- migrate:up")).count(), 1, "{name}");
            assert_eq!(file.text.lines().filter(|l| l.starts_with("-- migrate:down")).count(), 1, "{name}");
            assert!(file.text.ends_with('\n') && !file.text.contains('\r'), "{name}");
        }
    }
}

#[test]
fn files_of_one_template_have_names_of_their_own() {
    let files = render("rename-column", "rename_title", &Params::default()).unwrap();
    let names: Vec<&str> = files.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["rename_title_expand", "rename_title_backfill", "rename_title_contract"]);
    assert_eq!(render(BLANK, "x", &Params::default()).unwrap()[0].name, "x");
}

#[test]
fn what_cannot_run_in_a_transaction_says_so() {
    for (name, files) in all() {
        for file in files {
            let alone = file.text.contains("CONCURRENTLY") || file.text.contains("COMMIT;");
            assert_eq!(file.text.contains("-- migrate:up transaction:false"), alone, "{name} {}", file.name);
        }
    }
}

#[test]
fn given_names_are_quoted_where_necessary() {
    let params = Params {
        table: Some("sales.order".into()),
        column: Some("It's".into()),
        type_name: Some("numeric(12, 2)".into()),
        ..Params::default()
    };
    let text = &render("add-column", "x", &params).unwrap()[0].text;
    assert!(text.contains(r#"ALTER TABLE sales."order" ADD COLUMN IF NOT EXISTS "It's" numeric(12, 2);"#), "{text}");
    let text = &render("rename-column", "x", &params).unwrap()[0].text;
    assert!(text.contains(r#"attrelid = 'sales."order"'::regclass AND attname = 'It''s'"#), "{text}");
    assert!(text.contains(r#"CREATE OR REPLACE FUNCTION sales."order_It's_sync"()"#), "{text}");
    let text = &render("create-index", "x", &params).unwrap()[0].text;
    assert!(text.contains(r#"DROP INDEX CONCURRENTLY IF EXISTS sales."order_It's_idx";"#), "{text}");
}

#[test]
fn a_created_object_takes_its_name_from_the_migration() {
    let text = &render("create-table", "create_orders_table", &Params::default()).unwrap()[0].text;
    assert!(text.contains("CREATE TABLE IF NOT EXISTS orders ("), "{text}");
    let text = &render("create-view", "create_open_orders", &Params::default()).unwrap()[0].text;
    assert!(text.contains("CREATE OR REPLACE VIEW open_orders AS"), "{text}");
}

#[test]
fn unknown_templates_and_impossible_values_are_refused() {
    let error = render("add-colum", "x", &Params::default()).unwrap_err();
    assert_eq!(error.status(), crate::error::Status::Usage);
    assert!(error.helps()[0].contains("add-column"));
    for value in ["", "a\nb", "$migration$; DROP TABLE x"] {
        let params = Params { column: Some(value.into()), ..Params::default() };
        assert!(render("backfill", "x", &params).is_err(), "{value:?}");
    }
}

fn options() -> InitOptions {
    InitOptions {
        database: "my \"shop\"".into(),
        postgres_version: 17,
        image: None,
        first_version: "20240101120000".into(),
        paths: Paths::default(),
    }
}

#[test]
fn the_first_configuration_is_valid_with_and_without_its_commented_settings() {
    for image in [None, Some("postgres:17".to_owned())] {
        let files = init_files(&InitOptions { image: image.clone(), ..options() });
        let text = &files[0].text;
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["postgres"]["database"].as_str(), Some("my \"shop\""));
        assert_eq!(table["postgres"]["version"].as_integer(), Some(17));
        assert_eq!(table["postgres"].get("image").and_then(|v| v.as_str()), image.as_deref());

        let setting = |line: &str| line.strip_prefix("# ").filter(|l| l.contains(" = ")).map(str::to_owned);
        let whole: Vec<String> = text.lines().map(|l| setting(l).unwrap_or_else(|| l.to_owned())).collect();
        let table: toml::Table = whole.join("\n").parse().unwrap();
        assert_eq!(table["paths"].as_table().unwrap().len(), Paths::default().all().len());
        assert_eq!(table["postgres"]["image"].as_str(), Some("postgres:17"));
    }
}

#[test]
fn each_folder_gets_one_example() {
    let paths: Vec<String> = init_files(&options()).into_iter().map(|f| f.path).collect();
    for folder in ["db/migrations/20240101120000_", "db/repeatable/", "db/init/", "db/testdata/default/", "db/checks/"]
    {
        assert_eq!(paths.iter().filter(|p| p.starts_with(folder)).count(), 1, "{folder}");
    }
}

#[test]
fn lines_are_appended_once() {
    assert_eq!(append_lines("", GIT_IGNORE).as_deref(), Some(GIT_IGNORE));
    assert_eq!(append_lines(GIT_IGNORE, GIT_IGNORE), None);
    assert_eq!(append_lines(".env\n.env.*\n!.env.example\n.dbbuild-*", GIT_IGNORE), None);
    assert_eq!(append_lines("target", "a\n").as_deref(), Some("target\na\n"));
    assert_eq!(append_lines("x\r\n", "a\nx\n").as_deref(), Some("x\r\na\r\n"));
    let attributes = git_attributes(&Paths::default());
    let joined = append_lines("target\n", &attributes).unwrap();
    assert_eq!(append_lines(&joined, &attributes), None);
}

#[test]
fn attributes_cover_what_the_paths_name() {
    let usual = git_attributes(&Paths::default());
    assert!(usual.contains("\ndb/**/*.sql text eol=lf\n") && usual.lines().count() == 8, "{usual}");
    assert!(usual.ends_with("\ndb/baseline.sql merge=dbbuild diff=dbbuild\n"), "{usual}");
    let moved = git_attributes(&Paths { migrations: "sql/up".into(), ..Paths::default() });
    for pattern in ["sql/up/**/*.sql", "db/init/**/*.sql", "db/baseline.sql", "db/roles.toml"] {
        assert!(moved.contains(&format!("\n{pattern} text eol=lf\n")), "{moved}");
    }
    assert!(!moved.contains("\ndb/**"), "{moved}");
}
