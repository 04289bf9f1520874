//! Statements are found as psql finds them, and told apart.

use proptest::prelude::*;

use super::*;

/// The texts of the statements, each with its COPY data behind a bar.
fn parts(text: &str) -> Vec<String> {
    let part = |statement: &Statement| match &statement.copy_data {
        Some(data) => format!("{}|{}", &text[statement.range.clone()], &text[data.clone()]),
        None => text[statement.range.clone()].to_owned(),
    };
    split(text).unwrap().iter().map(part).collect()
}

fn check(text: &str, expect: &[&str]) {
    assert_eq!(parts(text), expect, "{text}");
}

#[test]
fn a_semicolon_ends_a_statement() {
    check("", &[]);
    check(" ;; -- c\n ; /* ; */ ;", &[]);
    check("a; b", &["a", "b"]);
    check("-- one\n a /* ; */ b -- ;\n ; c;", &["a /* ; */ b", "c"]);
    check("\u{feff}a;b", &["a", "b"]);
}

#[test]
fn quotes_hide_semicolons() {
    check("a ';' 'it''s;' b; c", &["a ';' 'it''s;' b", "c"]);
    check(r"a '\'; b", &[r"a '\'", "b"]);
    check(r"a E'\';' e'\\'; b", &[r"a E'\';' e'\\'", "b"]);
    check("a U&'d;' U&\";\" N';' B'1' X'f;'; b", &["a U&'d;' U&\";\" N';' B'1' X'f;'", "b"]);
    check("a \"x;\"\"y;\"; b", &["a \"x;\"\"y;\"", "b"]);
    check("a /* /* ; */ ; */ ; b", &["a", "b"]);
    check("a $$ ; ' $x$ $$ ; b $x$ ; $$ ; $x$; c", &["a $$ ; ' $x$ $$", "b $x$ ; $$ ; $x$", "c"]);
    check("a x$y$z; b $1; c $1$$;$$", &["a x$y$z", "b $1", "c $1$$;$$"]);
    check("a $é$;$é$; b", &["a $é$;$é$", "b"]);
}

#[test]
fn a_continued_escape_string_keeps_its_rules() {
    check("a E'x'\n '\\';'; b", &["a E'x'\n '\\';'", "b"]);
    check("a E'x' -- c'\n -- d\n 'y\\';' 'z\\'; b", &["a E'x' -- c'\n -- d\n 'y\\';' 'z\\'", "b"]);
    check("a E'x' 'y\\'; b", &["a E'x' 'y\\'", "b"]);
    check("a 'x'\n 'y\\'; b", &["a 'x'\n 'y\\'", "b"]);
    let error = split("a E'x'\n'y\\'; b").unwrap_err();
    assert_eq!(error, ScanError { offset: 7, fault: Fault::Unclosed("quote") });
}

#[test]
fn parentheses_hide_semicolons() {
    let rule = "CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO a VALUES (1); DELETE FROM b;)";
    check(&format!("{rule}; c"), &[rule, "c"]);
    check("a ); b", &["a )", "b"]);
    check("a ( ; b", &["a ( ; b"]);
}

#[test]
fn begin_atomic_runs_to_its_end() {
    for body in [
        "SELECT 1;",
        "",
        "SELECT CASE WHEN a THEN b END; SELECT 2;",
        "SELECT CASE a WHEN 1 THEN CASE WHEN b THEN 1 END ELSE 2 END; SELECT 1;",
        "SELECT 1 AS end; SELECT t.end, (CASE WHEN a THEN b END) AS case FROM t;",
        "SELECT 1 end; SELECT 2;",
        "INSERT INTO t SELECT ARRAY[CASE WHEN x THEN 1 END]; RETURN 1;",
        "/* END; */ SELECT 'END;'; -- END;\n",
    ] {
        for head in ["CREATE FUNCTION f()", "create or replace procedure p(a int, \"begin\" text)"] {
            let routine = format!("{head} LANGUAGE sql BEGIN ATOMIC {body} END");
            check(&format!("{routine}; next"), &[&routine, "next"]);
        }
    }
    check("CREATE FUNCTION begin() RETURNS int RETURN 1; b", &["CREATE FUNCTION begin() RETURNS int RETURN 1", "b"]);
    check("CREATE TABLE function (begin int); b", &["CREATE TABLE function (begin int)", "b"]);
    check("BEGIN; SELECT atomic; END; b", &["BEGIN", "SELECT atomic", "END", "b"]);
}

#[test]
fn copy_takes_the_lines_up_to_its_end() {
    check("COPY t FROM stdin;\n1\t';\n\\N\n\\.\nb;", &["COPY t FROM stdin|1\t';\n\\N\n", "b"]);
    check("COPY t FROM STDIN; -- c\n\\.\nb", &["COPY t FROM STDIN|", "b"]);
    check("copy t (a, b) from stdin with (format csv)\n;\n1\n\\.", &["copy t (a, b) from stdin with (format csv)|1\n"]);
    check("COPY t FROM stdin;\n1\n\\.x\n \\.\n2", &["COPY t FROM stdin|1\n\\.x\n \\.\n2"]);
    check("COPY t FROM stdout;\n1\n\\.\n", &["COPY t FROM stdout|1\n"]);
    check("COPY t FROM stdin", &["COPY t FROM stdin|"]);
    check("COPY t FROM stdin;", &["COPY t FROM stdin|"]);
    check("COPY (SELECT a FROM stdin) TO stdout; b", &["COPY (SELECT a FROM stdin) TO stdout", "b"]);
    check("COPY stdin FROM 'f'; b", &["COPY stdin FROM 'f'", "b"]);
    check("COPY a FROM stdin;\n1\n\\.\n\nCOPY b FROM stdin;\n\\.\n", &["COPY a FROM stdin|1\n", "COPY b FROM stdin|"]);
    let error = split("COPY t FROM stdin; SELECT 1;\n\\.\n").unwrap_err();
    assert_eq!(error, ScanError { offset: 19, fault: Fault::TextAfterCopy });
}

#[test]
fn a_fault_is_found_where_it_opens() {
    for (text, offset, fault) in [
        ("a; 'b;\n", 3, Fault::Unclosed("quote")),
        ("a E'b\\'", 2, Fault::Unclosed("quote")),
        ("a u&'b", 2, Fault::Unclosed("quote")),
        ("a \"b\"\"", 2, Fault::Unclosed("quoted identifier")),
        ("a $x$ $$ $y$", 2, Fault::Unclosed("dollar quote")),
        ("a /* /* */ ", 2, Fault::Unclosed("comment")),
        ("a;\n\\copy t from 'x'\n", 3, Fault::MetaCommand("\\copy".into())),
        ("SELECT 1 \\gset\n", 9, Fault::MetaCommand("\\gset".into())),
        ("SELECT (\\! rm\n", 8, Fault::MetaCommand("\\!".into())),
        ("\\.\n", 0, Fault::MetaCommand("\\.".into())),
        ("a '\0'", 3, Fault::Nul),
    ] {
        let mut found = statements(text).skip_while(|statement| statement.is_ok());
        assert_eq!(found.next(), Some(Err(ScanError { offset, fault })), "{text}");
        assert_eq!(found.next(), None);
    }
    check("SELECT '\\d', $$ \\d $$, \"\\d\" -- \\d\n /* \\d */", &["SELECT '\\d', $$ \\d $$, \"\\d\""]);
}

#[test]
fn statements_are_told_apart() {
    use StatementKind::*;
    for (kind, texts) in [
        (Begin, &["BEGIN", "begin work", "START TRANSACTION READ ONLY"][..]),
        (Commit, &["COMMIT", "END", "/* c */ commit AND CHAIN"]),
        (Rollback, &["ROLLBACK", "ABORT", "rollback work and no chain"]),
        (PrepareTransaction, &["PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'"]),
        (Savepoint, &["SAVEPOINT a", "RELEASE a", "ROLLBACK TO a", "rollback transaction to savepoint a"]),
        (
            SetSession,
            &[
                "SET search_path = a",
                "SET SESSION x = 1",
                "SET local.x = 1",
                "SET ROLE r",
                "SET SESSION AUTHORIZATION u",
                "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                "RESET ALL",
                "DISCARD TEMP",
                "PREPARE p AS SELECT 1",
                "LISTEN c",
                "SELECT pg_catalog.set_config('search_path', '', false)",
                "SELECT set_config('a.b', '1', false)",
            ],
        ),
        (
            CreateTemp,
            &[
                "CREATE TEMP TABLE t ()",
                "CREATE OR REPLACE TEMPORARY VIEW v AS SELECT 1",
                "CREATE LOCAL TEMP SEQUENCE s",
                "CREATE TABLE IF NOT EXISTS pg_temp.t ()",
                "CREATE FUNCTION pg_temp.f() RETURNS int RETURN 1",
                "SELECT 1 AS a INTO TEMP t FROM b",
            ],
        ),
        (CopyFromStdin, &["COPY t FROM STDIN", "COPY t (a) FROM stdin (FORMAT csv)"]),
        (CopyOther, &["COPY t TO STDOUT", "COPY t FROM '/f'", "COPY t FROM PROGRAM 'p'"]),
        (
            Writes,
            &[
                "INSERT INTO t VALUES (1)",
                "WITH a AS (SELECT 1) SELECT 1",
                "DO $$ $$",
                "CALL p()",
                "(SELECT 1)",
                "EXPLAIN ANALYZE DELETE FROM t",
                "EXPLAIN (COSTS OFF, ANALYZE) SELECT 1",
                "SELECT set_config('a', 'b', true)",
                "SELECT set_config('a', 'b', false), f()",
                "TRUNCATE t",
            ],
        ),
        (
            Ddl,
            &[
                "CREATE TABLE t ()",
                "CREATE UNIQUE INDEX i ON t (a)",
                "ALTER TABLE t DETACH PARTITION p",
                "COMMENT ON TABLE t IS ''",
                "DROP INDEX i",
                "REINDEX TABLE t",
                "REINDEX (CONCURRENTLY off) TABLE t",
                "CLUSTER t USING i",
                "ALTER DATABASE d SET x = 1",
                "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
                "CREATE TABLE temp (database int)",
                "GRANT SELECT ON t TO r",
            ],
        ),
        (
            Other,
            &[
                "SET LOCAL x = 1",
                "SET TRANSACTION READ ONLY",
                "SET CONSTRAINTS ALL DEFERRED",
                "EXPLAIN DELETE FROM t",
                "EXPLAIN (ANALYZE false) SELECT 1",
                "LOCK TABLE t",
                "ANALYZE t",
                "'x'",
                "",
            ],
        ),
    ] {
        for text in texts {
            assert_eq!(classify(text), kind, "{text}");
        }
    }
}

#[test]
fn what_a_transaction_block_refuses_keeps_its_details() {
    use NonTransactional::*;
    let index = |name: Option<&str>, table: &str, unique, if_not_exists| CreateIndexConcurrently {
        name: name.map(str::to_owned),
        table: table.to_owned(),
        unique,
        if_not_exists,
    };
    for (text, kind) in [
        ("CREATE INDEX CONCURRENTLY ON t (a)", index(None, "t", false, false)),
        ("CREATE INDEX CONCURRENTLY i ON ONLY s . \"T\" USING gin (a)", index(Some("i"), "s.\"T\"", false, false)),
        ("create unique index concurrently if not exists i on t (a)", index(Some("i"), "t", true, true)),
        (
            "DROP INDEX CONCURRENTLY IF EXISTS s.i, j",
            DropIndexConcurrently { names: vec!["s.i".into(), "j".into()], if_exists: true },
        ),
        ("REINDEX TABLE CONCURRENTLY s.t", ReindexConcurrently { of: "table", name: Some("s.t".into()) }),
        ("REINDEX (VERBOSE, CONCURRENTLY) INDEX i", ReindexConcurrently { of: "index", name: Some("i".into()) }),
        ("REINDEX DATABASE d", Reindex),
        ("REINDEX SCHEMA s", Reindex),
        ("VACUUM FULL t", Vacuum),
        (
            "ALTER TABLE IF EXISTS s.t DETACH PARTITION p CONCURRENTLY",
            DetachConcurrently { parent: "s.t".into(), partition: "p".into() },
        ),
        ("ALTER SYSTEM SET x = 1", AlterSystem),
        ("CREATE DATABASE d", DatabaseOrTablespace),
        ("DROP TABLESPACE t", DatabaseOrTablespace),
        ("ALTER DATABASE d SET TABLESPACE t", DatabaseOrTablespace),
        ("CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p", Subscription),
        ("DROP SUBSCRIPTION IF EXISTS s", Subscription),
        ("CLUSTER (VERBOSE)", Cluster),
        ("DISCARD ALL", DiscardAll),
    ] {
        assert_eq!(classify(text), StatementKind::NonTransactional(Box::new(kind)), "{text}");
    }
}

#[test]
fn the_main_object_and_its_lock_are_found() {
    for (text, object, lock) in [
        ("CREATE TABLE IF NOT EXISTS s.t (a int)", "table s.t", ""),
        ("ALTER TABLE ONLY t ADD COLUMN a int", "table t", "ACCESS EXCLUSIVE"),
        ("ALTER TABLE t VALIDATE CONSTRAINT c", "table t", "SHARE UPDATE EXCLUSIVE"),
        ("ALTER TABLE t ALTER COLUMN a SET STATISTICS 5", "table t", "SHARE UPDATE EXCLUSIVE"),
        ("ALTER TABLE t ALTER a SET (n_distinct = 5), ADD b int", "table t", "ACCESS EXCLUSIVE"),
        ("ALTER TABLE t ALTER a TYPE numeric(3, 4)", "table t", "ACCESS EXCLUSIVE"),
        ("ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES b", "table t", "SHARE ROW EXCLUSIVE"),
        ("ALTER TABLE t DISABLE TRIGGER ALL", "table t", "SHARE ROW EXCLUSIVE"),
        ("ALTER TABLE t ATTACH PARTITION p FOR VALUES IN (1, 2)", "table t", "SHARE UPDATE EXCLUSIVE"),
        ("ALTER TABLE t SET (fillfactor = 70), VALIDATE CONSTRAINT c", "table t", "SHARE UPDATE EXCLUSIVE"),
        ("ALTER INDEX IF EXISTS i RENAME TO j", "index i", "SHARE UPDATE EXCLUSIVE"),
        ("ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b", "", "ACCESS EXCLUSIVE"),
        ("DROP TABLE IF EXISTS a, b", "table a", "ACCESS EXCLUSIVE"),
        ("DROP INDEX CONCURRENTLY i", "index i", "SHARE UPDATE EXCLUSIVE"),
        ("CREATE UNIQUE INDEX i ON ONLY s.t (a)", "table s.t", "SHARE"),
        ("CREATE INDEX CONCURRENTLY ON t (a)", "table t", "SHARE UPDATE EXCLUSIVE"),
        ("CREATE OR REPLACE TRIGGER g BEFORE UPDATE OF a ON t EXECUTE FUNCTION f()", "table t", "SHARE ROW EXCLUSIVE"),
        ("CREATE RULE r AS ON UPDATE TO t DO INSTEAD NOTHING", "table t", "ACCESS EXCLUSIVE"),
        ("CREATE POLICY p ON t", "table t", "ACCESS EXCLUSIVE"),
        ("CREATE STATISTICS st ON a, b FROM t", "table t", "SHARE UPDATE EXCLUSIVE"),
        ("DROP TRIGGER IF EXISTS g ON t", "table t", "ACCESS EXCLUSIVE"),
        ("INSERT INTO \"T\" VALUES (1)", "table \"T\"", "ROW EXCLUSIVE"),
        ("UPDATE ONLY t SET a = 1", "table t", "ROW EXCLUSIVE"),
        ("DELETE FROM t", "table t", "ROW EXCLUSIVE"),
        ("WITH x AS (DELETE FROM a RETURNING 1) INSERT INTO b SELECT 1", "table b", "ROW EXCLUSIVE"),
        ("WITH x AS (SELECT 1) SELECT 1", "", ""),
        ("TRUNCATE TABLE t CASCADE", "table t", "ACCESS EXCLUSIVE"),
        ("COPY t (a) FROM STDIN", "table t", "ROW EXCLUSIVE"),
        ("COPY t TO STDOUT", "table t", "ACCESS SHARE"),
        ("COPY (SELECT 1) TO STDOUT", "", ""),
        ("LOCK TABLE t IN SHARE ROW EXCLUSIVE MODE NOWAIT", "table t", "SHARE ROW EXCLUSIVE"),
        ("LOCK t", "table t", "ACCESS EXCLUSIVE"),
        ("VACUUM (FULL) t", "table t", "ACCESS EXCLUSIVE"),
        ("VACUUM ANALYZE t", "table t", "SHARE UPDATE EXCLUSIVE"),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY v", "materialized view v", "EXCLUSIVE"),
        ("REINDEX TABLE CONCURRENTLY t", "table t", "SHARE UPDATE EXCLUSIVE"),
        ("COMMENT ON COLUMN s.\"a.b\".c IS 'x'", "table s.\"a.b\"", "SHARE UPDATE EXCLUSIVE"),
        ("COMMENT ON CONSTRAINT c ON t IS 'x'", "table t", "ACCESS SHARE"),
        ("COMMENT ON FUNCTION f(int) IS 'x'", "function f", ""),
        ("CREATE OR REPLACE VIEW v AS SELECT 1", "view v", "ACCESS EXCLUSIVE"),
        ("CREATE VIEW v AS SELECT 1", "view v", ""),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1", "materialized view v", ""),
        ("GRANT SELECT (a), INSERT ON t TO r", "table t", ""),
        ("GRANT USAGE ON SCHEMA s TO r", "schema s", ""),
        ("GRANT a TO b", "", ""),
        ("CREATE USER MAPPING FOR u SERVER s", "", ""),
        ("CREATE EXTENSION IF NOT EXISTS \"x-y\"", "extension \"x-y\"", ""),
        ("ALTER TYPE e ADD VALUE 'x'", "type e", ""),
        ("SELECT 1", "", ""),
    ] {
        let found = main_object(text).map(|object| format!("{} {}", object.kind, object.name));
        assert_eq!(found.unwrap_or_default(), object, "{text}");
        assert_eq!(lock_mode(text).unwrap_or_default(), lock, "{text}");
    }
}

#[test]
fn a_literal_password_is_found() {
    for (text, literal) in [
        ("CREATE ROLE r LOGIN PASSWORD 'secret'", "'secret'"),
        ("alter user u with encrypted password E'a\\'b' valid until 'x'", "E'a\\'b'"),
        ("ALTER ROLE r PASSWORD $$x$$", "$$x$$"),
        ("ALTER ROLE r PASSWORD NULL", ""),
        ("CREATE ROLE r PASSWORD ''", ""),
        ("CREATE ROLE password LOGIN", ""),
        ("CREATE USER MAPPING FOR u SERVER s OPTIONS (user 'u', password 'p')", "'p'"),
        ("ALTER USER MAPPING FOR u SERVER s OPTIONS (SET password 'p')", "'p'"),
        ("CREATE SUBSCRIPTION s CONNECTION 'host=h password=p' PUBLICATION q", "'host=h password=p'"),
        ("CREATE SUBSCRIPTION s CONNECTION 'host=h password = ''p''' PUBLICATION q", "'host=h password = ''p'''"),
        ("ALTER SUBSCRIPTION s CONNECTION 'postgresql://u:p@h/d'", "'postgresql://u:p@h/d'"),
        ("CREATE SUBSCRIPTION s CONNECTION 'host=h passfile=/x' PUBLICATION q", ""),
        ("CREATE SUBSCRIPTION s CONNECTION 'postgresql://u@h/d' PUBLICATION q", ""),
        ("INSERT INTO t (password) VALUES ('x')", ""),
        ("COMMENT ON ROLE r IS 'password'", ""),
    ] {
        let found = literal_password(text).map(|range| &text[range]);
        assert_eq!(found.unwrap_or_default(), literal, "{text}");
    }
}

/// Texts made of what makes splitting hard.
fn sql_text() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        prop::sample::select(vec![
            "'",
            "''",
            "\"",
            "$$",
            "$a$",
            "E'",
            "U&'",
            "\\",
            "--",
            "\n",
            "/*",
            "*/",
            ";",
            "(",
            ")",
            "\\.\n",
            " ",
            ".",
            "CREATE FUNCTION f()",
            "BEGIN ATOMIC",
            "BEGIN",
            "END",
            "CASE",
            "AS",
            "COPY t FROM stdin;\n",
            "1",
            "é",
            "\r",
            "ROLE r PASSWORD",
            "SUBSCRIPTION s CONNECTION",
            "EXPLAIN (ANALYZE) ",
            "ALTER TABLE t",
            "CONCURRENTLY",
            "ON",
        ])
        .prop_map(str::to_owned),
        "[a-z]{1,3}",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(atom, 0..40).prop_map(|atoms| atoms.concat())
}

/// Whole statements of every shape.
fn statement_list() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(
        prop::sample::select(vec![
            "SELECT 1",
            "SELECT ';' || E'\\';' -- ;\n",
            "/* ; */ SELECT $a$;$a$",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; END",
            "CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2)",
            "DO $$ BEGIN COMMIT; END $$",
        ]),
        0..8,
    )
}

proptest! {
    #[test]
    fn no_piece_of_a_text_is_lost(text in sql_text()) {
        let mut at = 0;
        for piece in Scanner::new(&text).map_while(Result::ok) {
            prop_assert_eq!(piece.range.start, at);
            at = piece.range.end;
            prop_assert!(text.is_char_boundary(at));
        }
        prop_assert!(at == text.len() || Scanner::new(&text).any(|piece| piece.is_err()));
    }

    #[test]
    fn statements_stand_in_order_and_apart(text in sql_text()) {
        let mut at = 0;
        for statement in statements(&text).map_while(Result::ok) {
            prop_assert!(statement.range.start >= at && statement.range.start < statement.range.end);
            let shown = &text[statement.range.clone()];
            prop_assert_eq!(shown, shown.trim_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']));
            at = statement.copy_data.map_or(statement.range.end, |data| data.end);
            literal_password(shown);
            main_object(shown);
            lock_mode(shown);
        }
    }

    #[test]
    fn any_text_is_taken_apart_without_a_panic(text in any::<String>()) {
        let _ = split(&text);
    }

    #[test]
    fn joined_texts_hold_the_statements_of_both(a in statement_list(), b in statement_list()) {
        let join = |list: &[&str]| list.iter().map(|text| format!("{text};")).collect::<String>();
        let both = split(&format!("{}\n{}", join(&a), join(&b))).unwrap();
        prop_assert_eq!(both.len(), a.len() + b.len());
    }

    #[test]
    fn a_statement_alone_is_the_same_statement(text in sql_text()) {
        if let Ok(all) = split(&text) {
            // A byte order mark is white space at the beginning of a text and a letter within.
            let plain = |statement: &&Statement| {
                statement.copy_data.is_none() && !text[statement.range.clone()].starts_with('\u{feff}')
            };
            for statement in all.iter().filter(plain) {
                let alone = split(&text[statement.range.clone()]);
                let alone = alone.map(|list| list.into_iter().map(|one| one.kind).collect::<Vec<_>>());
                prop_assert_eq!(alone, Ok(vec![statement.kind.clone()]));
            }
        }
    }
}
