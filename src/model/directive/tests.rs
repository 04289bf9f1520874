//! Directives are read or refused, never overlooked.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Directives {
    parse("1_a.sql", text, FileKind::Migration).unwrap()
}

/// All faults, as `LINE: message / help`.
fn faults(kind: FileKind, text: &str) -> Vec<String> {
    let error = parse("1_a.sql", text, kind).expect_err(text);
    let shown = |error: &Error| {
        let line = error.location().map_or(0, |location| location.line);
        format!("{line}: {} / {}", error.message(), error.helps().join(" "))
    };
    std::iter::once(shown(&error)).chain(error.others().iter().map(shown)).collect()
}

fn sections(text: &str) -> (&str, Option<&str>) {
    let found = read(text);
    (&text[found.up.range], found.down.map(|down| &text[down.range]))
}

#[test]
fn a_file_without_section_lines_is_all_up() {
    assert_eq!(sections("SELECT 1;"), ("SELECT 1;", None));
    assert_eq!(sections("-- about migrate up and dbbuild\nA;"), ("-- about migrate up and dbbuild\nA;", None));
}

#[test]
fn section_lines_are_known_however_they_are_spaced() {
    for (up, down) in [
        ("-- migrate:up", "-- migrate:down"),
        ("--migrate:up", "--migrate:down"),
        ("-- Migrate: UP transaction:false", "--  migrate:Down  transaction:true"),
        ("  -- migrate : up", "\t-- migrate:down "),
    ] {
        let text = format!("-- header\n\n{up}\nA;\n{down}\nB;\n");
        assert_eq!(sections(&text), ("A;\n", Some("B;\n")), "{text}");
    }
    assert_eq!(sections("-- migrate:up\nA;\n-- migrate:down"), ("A;\n", Some("")));
    assert_eq!(read("-- migrate:up transaction:false\n-- migrate:down\n").up.transaction, Some(false));
    assert_eq!(read("/* licence */\n-- migrate:up\nA;").up.first_line, 3);
}

#[test]
fn a_line_inside_of_something_else_is_no_directive() {
    for hiding in [
        "SELECT '\n-- migrate:down\n';",
        "SELECT $$\n-- migrate:down\n-- dbbuild:nonsense\n$$;",
        "/*\n-- migrate:down\n*/",
        "SELECT \"\n-- migrate:up\n\";",
        "COPY t FROM stdin;\n-- migrate:down\n\\.\n",
    ] {
        let text = format!("-- migrate:up\n{hiding}\n-- migrate:down\nB;");
        assert_eq!(sections(&text), (&*format!("{hiding}\n"), Some("B;")), "{text}");
    }
    assert_eq!(read("/*\n-- dbbuild:transaction false\n*/\n-- dbbuild:description x\nA;").transaction, None);
}

#[test]
fn header_directives_set_something() {
    let found =
        read("-- dbbuild:idempotent false it counts\n-- DBBUILD: transaction true\n--dbbuild:description a b\nA;");
    assert_eq!(found.not_idempotent.as_deref(), Some("it counts"));
    assert_eq!(found.transaction, Some(true));
    assert_eq!(found.description.as_deref(), Some("a b"));
    assert_eq!(read("-- migrate:up\n-- dbbuild:transaction false\nA;").transaction, Some(false));
    let text = "-- dbbuild:after a b.sql\n-- dbbuild:after c\n-- dbbuild:run always\nA;";
    let found = parse("v.sql", text, FileKind::Repeatable).unwrap();
    assert!(found.run_always);
    let after: Vec<_> = found.after.iter().map(|after| (after.file.as_str(), after.line)).collect();
    assert_eq!(after, [("a b.sql", 1), ("c", 2)]);
}

#[test]
fn whatever_is_wrong_is_an_error_with_its_line() {
    let order = "a migration is: header comments, `-- migrate:up`, SQL, then `-- migrate:down`, SQL";
    for (text, expect) in [
        ("\n-- dbbuild:idempotant true", "2: unknown directive `idempotant` / did you mean `-- dbbuild:idempotent`?"),
        ("-- dbbuild:idempotent flase x", "1: unknown value `flase` / did you mean `-- dbbuild:idempotent false`?"),
        (
            "-- dbbuild:idempotent false",
            "1: directive `idempotent false` lacks a reason / write `-- dbbuild:idempotent false REASON`",
        ),
        ("-- dbbuild:idempotent true x", "1: `x` is too much for this directive / "),
        ("-- dbbuild:transaction", "1: value is missing / known are: true, false"),
        (
            "-- dbbuild:transaction=false",
            "1: malformed directive `-- dbbuild:transaction=false` / write `-- dbbuild:transaction VALUE`",
        ),
        (
            "-- dbbuild:",
            "1: directive is missing / known are: after, batch, description, env, idempotent, placeholders, precondition, psql, run, secure, squashed-at, squashes, transaction",
        ),
        (
            "-- dbbuild:zzz",
            "1: unknown directive `zzz` / known are: after, batch, description, env, idempotent, placeholders, precondition, psql, run, secure, squashed-at, squashes, transaction",
        ),
        (
            "-- dbbuild:run always",
            "1: directive `run` is of no use in this migration / it belongs into a repeatable file",
        ),
        ("-- dbbuild:transaction true\n-- dbbuild:transaction true", "2: directive `transaction` is given twice / "),
        (
            "A;\n-- dbbuild:transaction true",
            "2: directive `transaction` stands behind the header / move it up, before the first statement of the file",
        ),
        (
            "SELECT '';\n-- dbbuild:transaction true",
            "2: directive `transaction` stands behind the header / move it up, before the first statement of the file",
        ),
        ("-- migrate:pu", "1: unknown section `pu` / did you mean `-- migrate:up`?"),
        ("-- migrate:up transaction:no", "1: unknown value `no` / known are: true, false"),
        ("-- migrate:up transacton:false", "1: unknown option `transacton` / did you mean `transaction:false`?"),
        ("-- migration:up", "1: `-- migration:up` is no directive / did you mean `-- migrate:up`?"),
        (
            "-- dbuild:transaction false",
            "1: `-- dbuild:transaction false` is no directive / did you mean `-- dbbuild:transaction false`?",
        ),
        ("A;\n-- migrate:up", &format!("2: SQL stands before `-- migrate:up` / {order}")),
        ("SELECT '';\n-- migrate:up", &format!("2: SQL stands before `-- migrate:up` / {order}")),
        ("-- migrate:up\n-- migrate:up", &format!("2: `-- migrate:up` is given twice / {order}")),
        ("-- migrate:up\n-- migrate:down\n-- migrate:down", &format!("3: `-- migrate:down` is given twice / {order}")),
        ("-- migrate:down", &format!("1: `-- migrate:down` stands without `-- migrate:up` before it / {order}")),
    ] {
        assert_eq!(faults(FileKind::Migration, text), [expect], "{text}");
    }
}

#[test]
fn all_faults_come_at_once() {
    let found = faults(FileKind::Migration, "-- migrate:down\nA;\n-- migrate:up\n-- dbbuild:x");
    assert_eq!(found.iter().map(|fault| &fault[..2]).collect::<Vec<_>>(), ["1:", "3:", "4:"]);
    let found = faults(FileKind::Check, "-- migrate:up\n-- dbbuild:idempotent true");
    assert_eq!(found[0], "1: `-- migrate:up` is valid in a migration only / this is a check, which has no sections");
    assert_eq!(found.len(), 2);
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(
        lines in prop::collection::vec(
            prop_oneof![
                "-- ?(migrate|dbbuild|migrat) ?: ?(up|down|run|after|idempotent|transaction)( [a-z:]{0,9}){0,2}",
                "['$a;/* -]{0,4}",
                any::<String>(),
            ],
            0..10,
        ),
    ) {
        let text = lines.join("\n");
        if let Ok(found) = parse("a", &text, FileKind::Migration) {
            let down = found.down.map_or(text.len()..text.len(), |down| down.range);
            prop_assert!(found.up.range.end <= down.start && down.end == text.len());
            prop_assert!(text.get(found.up.range).is_some() && text.get(down).is_some());
        }
    }
}

#[test]
fn preconditions_take_their_query_from_the_comments_below() {
    let text = "-- dbbuild:precondition on-fail=mark-ran expect=0\n--   SELECT count(*)\n-- FROM t; \n-- dbbuild:precondition \
                expect='a b'\n--SELECT 'x'\n\n-- a note\nSELECT 1;";
    let found = read(text).preconditions;
    let [first, second] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((first.on_fail, first.expect.as_str(), first.line), (OnFail::MarkRan, "0", 1));
    assert_eq!((first.query.first_line, &*first.query.text), (2, "     SELECT count(*)\n   FROM t; \n"));
    assert_eq!((second.on_fail, second.expect.as_str(), &*second.query.text), (OnFail::Halt, "a b", "  SELECT 'x'\n"));
    for (text, expect) in [
        ("-- dbbuild:precondition on-fail=halt\n-- SELECT 1", "1: directive `precondition` lacks `expect=`"),
        ("-- dbbuild:precondition expect=1\nSELECT 1;", "1: directive `precondition` lacks a query"),
        (
            "-- dbbuild:precondition expect=1\n-- SELECT 1; SELECT 2",
            "1: directive `precondition` has more than one query",
        ),
        ("-- dbbuild:precondition expect=1\n-- DELETE FROM t", "2: the precondition is no query"),
        ("-- dbbuild:precondition on-fail=stop expect=1\n-- SELECT 1", "1: unknown value `stop`"),
        ("-- dbbuild:precondition expect=1\n-- SELECT '", "2: unclosed quote"),
    ] {
        let found = faults(FileKind::Migration, text);
        assert!(found[0].starts_with(expect), "{text}: {found:?}");
    }
}

#[test]
fn a_value_holds_as_postgresql_writes_it() {
    let holds = |expect: &str, found: Option<&str>| {
        let text = format!("-- dbbuild:precondition expect='{expect}'\n-- SELECT 1");
        read(&text).preconditions[0].holds(found)
    };
    assert!(holds("0", Some("0")) && holds("true", Some("t")) && holds("F", Some("f")) && holds("null", None));
    assert!(!holds("0", Some("00")) && !holds("true", Some("f")) && !holds("0", None) && !holds("t", Some("true")));
}

#[test]
fn a_batch_stands_before_its_statement() {
    let text = "-- migrate:up\nSELECT ';';\n-- dbbuild:batch size=10_000 pause=50ms max=7\nUPDATE t SET a = 1;\n";
    let found = read(text).batches;
    let expected = Batch {
        size: 10_000,
        pause: std::time::Duration::from_millis(50),
        most: Some(7),
        offset: text.find("-- dbbuild").unwrap(),
        line: 3,
    };
    assert_eq!(found, [expected]);
    for (text, expect) in [
        ("-- dbbuild:batch", "1: directive `batch` lacks `size=`"),
        ("-- dbbuild:batch size=x", "1: `x` is no number of rows"),
        ("-- dbbuild:batch size=1 pause=5", "1: the duration `5` has no unit"),
        (
            "-- migrate:up\nA;\n-- migrate:down\n-- dbbuild:batch size=1",
            "4: directive `batch` stands behind the header",
        ),
    ] {
        let found = faults(FileKind::Migration, text);
        assert!(found[0].starts_with(expect), "{text}: {found:?}");
    }
}

#[test]
fn directives_are_found_behind_commands_of_psql() {
    let text = "-- dbbuild:psql true\n\\set x '\nSELECT 'a';\n-- migrate:down\nB;";
    assert_eq!(
        faults(FileKind::Migration, text),
        ["4: `-- migrate:down` stands without `-- migrate:up` before it / a \
        migration is: header comments, `-- migrate:up`, SQL, then `-- migrate:down`, SQL"]
    );
    assert!(read("-- dbbuild:psql true\n\\echo 'a'\n").psql);
}
