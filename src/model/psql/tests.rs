//! What psql may do in a migration, and what it may not.

use super::*;

fn script(path: &str, text: &str) -> Script {
    let mut script = Script::of_file(path, text);
    script.means.psql = Some(Arc::default());
    script
}

fn fault(text: &str) -> String {
    script("db/migrations/1_a.sql", text).psql_view().expect_err(text).to_string()
}

#[test]
fn a_view_is_the_sql_alone_and_as_long() {
    for (text, sql) in [
        ("\\set x 1\nSELECT :x;\n", "        \nSELECT :x;\n"),
        ("SELECT 'CREATE TABLE a ()' \\gexec\nSELECT 2;", "SELECT 'CREATE TABLE a ()' ;     \nSELECT 2;"),
        ("\\if true\nA;\n\\else\nB;\n\\endif", "        \nA;\n     \nB;\n      "),
        ("\\set a b \\\\ SELECT 1;", "            SELECT 1;"),
        ("SELECT '\\! x'; -- \\! y\nSELECT $$\\! z$$;", "SELECT '\\! x'; -- \\! y\nSELECT $$\\! z$$;"),
        ("\\copy t from stdin\n1\t\\N\n\\.\nSELECT 1;", "                  \n    \n  \nSELECT 1;"),
        ("\\restrict abc\nSELECT 1;\n\\unrestrict abc\n", "             \nSELECT 1;\n               \n"),
    ] {
        let view = script("a.sql", text).psql_view().expect(text);
        assert_eq!(view.sql, sql, "{text}");
        assert_eq!(view.sql.len(), text.len());
    }
}

#[test]
fn shells_files_and_other_databases_are_refused_with_their_line() {
    for (text, message) in [
        ("SELECT 1;\n\\! rm x", "`\\!` is refused in a file that psql runs at db/migrations/1_a.sql:2:1"),
        ("\\echo a \\! rm x", "`\\!` is refused in a file that psql runs at db/migrations/1_a.sql:1:9"),
        ("\\o |cat", "`\\o` is refused in a file that psql runs at db/migrations/1_a.sql:1:1"),
        (
            "SELECT 1 \\g |cat",
            "`\\g` with an argument is refused in a file that psql runs at db/migrations/1_a.sql:1:10",
        ),
        ("\\set x `id`", "backquotes are refused in a file that psql runs at db/migrations/1_a.sql:1:8"),
        ("\\setenv A b", "`\\setenv` is refused in a file that psql runs at db/migrations/1_a.sql:1:1"),
        ("\\connect other", "`\\connect` is refused in a file that psql runs at db/migrations/1_a.sql:1:1"),
        ("\\copy t (a) FROM PROGRAM 'id'", "`\\copy` from a program is refused at db/migrations/1_a.sql:1:1"),
        ("\\copy (SELECT 1 FROM t) to 'x'", "`\\copy` to a file is refused at db/migrations/1_a.sql:1:1"),
        (
            "\\set x '\\134! id'\nSELECT :x;",
            "a backslash in the value of a variable is refused at db/migrations/1_a.sql:1:8",
        ),
        ("\\set ON_ERROR_STOP off", "the variable `ON_ERROR_STOP` is dbbuild's to set at db/migrations/1_a.sql:1:6"),
        ("\\i :file", "the path of an included file holds a variable at db/migrations/1_a.sql:1:4"),
        (
            "SELECT 'x' AS x \\gset\nSELECT :x;",
            "`:x` as bare text is refused where its value may come from elsewhere at db/migrations/1_a.sql:2:9",
        ),
        (
            "SET standard_conforming_strings = off;\nSELECT 1;",
            "a file that psql runs must not change standard_conforming_strings at db/migrations/1_a.sql:1:1",
        ),
        ("\\copy t FROM PROGRAM'id'", "`\\copy` from a program is refused at db/migrations/1_a.sql:1:1"),
        ("\\encoding SJIS", "a file that psql runs must not change the encoding at db/migrations/1_a.sql:1:1"),
        ("SET NAMES 'SJIS'", "a file that psql runs must not change the encoding at db/migrations/1_a.sql:1:1"),
        (
            "SELECT 1;\nSET client_encoding TO big5 \\g\n",
            "a file that psql runs must not change the encoding at db/migrations/1_a.sql:2:1",
        ),
        (
            "SET client_encoding = sjis /* utf8 */;",
            "a file that psql runs must not change the encoding at db/migrations/1_a.sql:1:1",
        ),
        (
            "SELECT set_config('standard_conforming_strings', 'off', false)\\; SELECT 'on'",
            "a file that psql runs must not change standard_conforming_strings at db/migrations/1_a.sql:1:1",
        ),
        (
            "SELECT 1; -- x\r\\! id",
            "a carriage return or NUL character in a file that psql runs at db/migrations/1_a.sql:1:15",
        ),
        ("\\nonsense", "`\\nonsense` is refused in a file that psql runs at db/migrations/1_a.sql:1:1"),
    ] {
        assert_eq!(fault(text), message, "{text}");
    }
}

#[test]
fn what_is_harmless_runs() {
    for text in [
        "\\set ON_ERROR_STOP on",
        "SELECT 1 AS x \\gset\n\\if :x\nSELECT :'x', a::text;\n\\endif",
        "\\echo 'a ` b' `",
        "SET standard_conforming_strings = on;",
        "SET NAMES 'utf8'; SELECT set_config('standard_conforming_strings', 'on', false);",
        "SET client_encoding = 'UTF8';\n\\encoding utf-8",
    ] {
        let outcome = script("a.sql", text).psql_view();
        assert_eq!(outcome.is_ok(), !text.contains("' `"), "{text}: {outcome:?}");
    }
}

#[test]
fn included_files_are_found_from_the_top_and_from_their_own_folder() {
    let files = BTreeMap::from([
        ("db/include/a.sql", "\\ir b/c.sql\n\\copy t from 'db/include/rows.csv' csv\n"),
        ("db/include/b/c.sql", "SELECT 1;"),
        ("db/include/rows.csv", "\\! no command here"),
        ("db/include/loop.sql", "\\i db/include/loop.sql"),
    ]);
    let lookup = |path: &str| files.get(path).map(|text| Arc::from(text.as_bytes()));
    let find = |text: &str| included(&script("db/migrations/1_a.sql", text), &lookup).map_err(|e| e.to_string());
    let found = find("\\ir ../include/a.sql\n\\i 'db/include/b/c.sql'").unwrap();
    assert_eq!(found.scripts.keys().collect::<Vec<_>>(), ["db/include/a.sql", "db/include/b/c.sql"]);
    assert_eq!(found.data.keys().collect::<Vec<_>>(), ["db/include/rows.csv"]);
    for (text, message) in [
        ("SELECT 1;\n\\ir ../../../x.sql", "`../../../x.sql` leads out of the repository at db/migrations/1_a.sql:2:1"),
        ("\\i /etc/passwd", "`/etc/passwd` leads out of the repository at db/migrations/1_a.sql:1:1"),
        ("\\copy t from '~/x'", "`~/x` leads out of the repository at db/migrations/1_a.sql:1:1"),
        (
            "\\i db/include/none.sql",
            "there is no file `db/include/none.sql` among the sources at db/migrations/1_a.sql:1:1",
        ),
        ("\\i db/include/loop.sql", "`db/include/loop.sql` includes itself at db/include/loop.sql:1:1"),
    ] {
        assert_eq!(find(text).unwrap_err(), message, "{text}");
    }
    let own = Checksum::of_text("x");
    assert_eq!(find("SELECT 1;").unwrap().sum(&own), own);
    assert_ne!(found.sum(&own), own);
}
