//! Scripts are taken apart with every place kept.

use super::*;

fn script(text: &str) -> Script {
    Script::of_file("a.sql", text)
}

#[test]
fn location_counts_characters_from_the_line_the_text_begins_at() {
    let script = Script::of_section("a.sql", 5, "sélect\n  ü;\n");
    let at = |offset| {
        let location = script.location(offset);
        (location.line, location.column)
    };
    assert_eq!(at(0), (5, 1));
    assert_eq!(at(3), (5, 3));
    assert_eq!(at(2), (5, 2), "within a character, the character");
    assert_eq!(at(script.text.find('ü').unwrap()), (6, 3));
    assert_eq!(at(1000), (7, 1));
}

#[test]
fn an_error_position_of_postgresql_leads_to_the_byte() {
    let script = script("SELECT 'é', x;");
    assert_eq!(script.character_offset(&(0..14), 13), script.text.find('x').unwrap());
    assert_eq!(script.character_offset(&(0..14), 999), 14);
}

#[test]
fn a_file_wrapped_as_a_whole_loses_its_begin_and_commit() {
    for (begin, commit) in [("BEGIN", "COMMIT"), ("start transaction", "end"), ("begin\nwork", "Commit Transaction")] {
        let text = format!("-- é\n{begin};\nSAVEPOINT a;\nSELECT 1;\n{commit}");
        let script = script(&text);
        let body = script.body().unwrap();
        assert!(body.wrapped, "{text}");
        assert_eq!(body.statements.len(), 2);
        assert_eq!(body.transaction_control, None);
        assert_eq!(body.text.len(), text.len());
        assert_eq!(&body.text[body.statements[1].range.clone()], "SELECT 1");
        assert_eq!(sql::split(&body.text).unwrap(), body.statements);
    }
}

#[test]
fn other_transaction_control_is_reported_with_its_place() {
    for (text, line, shown) in [
        ("SELECT 1;\nCOMMIT; SELECT 2;", 2, "COMMIT"),
        ("COMMIT; COMMIT;", 1, "COMMIT"),
        ("BEGIN; SELECT 1;", 1, "BEGIN"),
        ("BEGIN; COMMIT; BEGIN; COMMIT;", 1, "BEGIN"),
        ("BEGIN; ROLLBACK; COMMIT;", 1, "BEGIN"),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1; COMMIT;", 1, "BEGIN ISOLATION LEVEL SERIALIZABLE"),
        ("BEGIN; SELECT 1; COMMIT AND CHAIN;", 1, "BEGIN"),
        ("SET x = 1;\nBEGIN; SELECT 1; COMMIT;", 2, "BEGIN"),
        ("SELECT 1;\n\nPREPARE TRANSACTION 'x';", 3, "PREPARE TRANSACTION 'x'"),
    ] {
        let script = script(text);
        let body = script.body().unwrap();
        let (location, found) = body.transaction_control.expect(text);
        assert_eq!((location.line, found.as_str(), body.wrapped), (line, shown, false), "{text}");
    }
    let script = script("SAVEPOINT a; ROLLBACK TO a; RELEASE a; DO $$BEGIN COMMIT; END$$; SELECT 'COMMIT';");
    assert_eq!(script.body().unwrap().transaction_control, None);
}

#[test]
fn a_commit_without_begin_at_the_very_end_is_taken_away_and_told() {
    let script = script("SELECT 1;\nCOMMIT;\n-- end\n");
    let body = script.body().unwrap();
    assert_eq!((body.statements.len(), body.wrapped, &body.transaction_control), (1, false, &None));
    assert_eq!(body.trailing_commit, Some(Location::new("a.sql", 2, 1)));
    assert_eq!(body.text, "SELECT 1;\n      ;\n-- end\n");
}

#[test]
fn what_no_transaction_block_takes_and_copy_are_found() {
    let script = script("SELECT 1; VACUUM; COPY t FROM stdin;\n1\n\\.\nDROP INDEX CONCURRENTLY i;");
    let body = script.body().unwrap();
    assert_eq!(body.non_transactional, [1, 3]);
    assert!(body.copy_blocks);
}

#[test]
fn an_error_names_the_place_in_the_file() {
    let script = Script::of_section("db/a.sql", 3, "SELECT 1;\n SELECT 'x;");
    let error = script.split().unwrap_err();
    assert_eq!(error.to_string(), "unclosed quote at db/a.sql:4:9");
    let script = Script::of_file("db/a.sql", "\\set x 1\nSELECT :x;");
    let error = script.split().unwrap_err();
    assert_eq!(error.to_string(), "psql meta-commands are not SQL: `\\set` at db/a.sql:1:1");
}
