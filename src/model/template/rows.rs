//! A team's own template and a table of values make a migration: `dbbuild new --template FILE --data ROWS.csv`.
//!
//! What stands in the table is data and stays it. Each value is first rendered as a word of its own; where the lexer does
//! not see that word as a token by itself (inside quotes, a comment, a `$$` body, COPY data, or joined to something) the
//! template is refused. Then a literal, a quoted name or a number takes the word's place. No file is read here.

use super::identifier::Name;
use crate::error::{Error, Location, Result};
use crate::model::sql::{PieceKind, Scanner, literal};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind, OutputSpan, UndefinedBehavior};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// A file by its name and content.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// For messages.
    pub path: &'a str,
    /// What it holds.
    pub text: &'a str,
}

/// Columns and rows of a table of values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// The names in the first line.
    pub columns: Vec<String>,
    /// The lines below, by column.
    pub rows: Vec<BTreeMap<String, String>>,
}

impl Table {
    /// Reads comma-separated values with a first line of names.
    ///
    /// # Errors
    /// A name is missing or used twice, or a line has another number of values, with its place.
    pub fn parse(file: Text<'_>) -> Result<Table> {
        let text = file.text.strip_prefix('\u{feff}').unwrap_or(file.text);
        let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
        let at = |line: usize| Location::new(file.path, line, 0);
        let broken = |e: csv::Error| broken(&e, line_of(text, e.position()), file.path);
        let names = reader.headers().map_err(broken)?.clone();
        let columns: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
        if columns.iter().all(String::is_empty) {
            return Err(Error::failed("the table of values is empty")
                .at(Location::file(file.path))
                .help("its first line names the columns."));
        }
        if columns.iter().any(String::is_empty) {
            return Err(Error::failed("a column has no name").at(at(1)));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = columns.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(Error::failed(format!("the column {} is there twice", twice.escape_debug())).at(at(1)));
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(broken)?;
            if record.iter().any(|value| value.contains('\0')) {
                let line = line_of(text, record.position());
                return Err(Error::failed("a value holds a NUL character, which PostgreSQL cannot").at(at(line)));
            }
            rows.push(columns.iter().cloned().zip(record.iter().map(str::to_owned)).collect());
        }
        Ok(Table { columns, rows })
    }
}

/// The line at which a record begins; the reader's own count stops before blank lines.
fn line_of(text: &str, position: Option<&csv::Position>) -> usize {
    let Some(start) = position.and_then(|position| usize::try_from(position.byte()).ok()) else { return 0 };
    let rest = text.get(start..).unwrap_or_default();
    let blank = rest.len() - rest.trim_start_matches(['\r', '\n']).len();
    text.get(..start + blank).unwrap_or_default().matches('\n').count() + 1
}

fn broken(error: &csv::Error, line: usize, path: &str) -> Error {
    let what = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let values = if *len == 1 { "value" } else { "values" };
            format!("a line has {len} {values} where {expected_len} columns are named")
        }
        _ => "the table of values cannot be read".to_owned(),
    };
    let error = Error::failed(what).at(Location::new(path, line, 0));
    error.help("a value with a comma, a quote or a line end stands in double quotes; a quote inside is doubled.")
}

/// The SQL that stands for the words of a rendering.
#[derive(Clone)]
struct Words {
    /// What the words begin with; no text of the template holds it.
    stem: String,
    sql: Arc<Mutex<Vec<String>>>,
}

impl Words {
    fn new(template: &str) -> Words {
        let mut stem = "dbbuild_value_".to_owned();
        while template.to_lowercase().contains(&stem) {
            stem.push('x');
        }
        Words { stem, sql: Arc::default() }
    }

    /// A word for a piece of SQL.
    fn add(&self, sql: String) -> String {
        let mut known = self.sql.lock().unwrap_or_else(PoisonError::into_inner);
        known.push(sql);
        format!("{}{}_", self.stem, known.len() - 1)
    }

    /// A word as a value that is written as it is.
    fn value(&self, sql: String) -> Value {
        Value::from_safe_string(self.add(sql))
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.sql.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Fills in a template. It sees `rows`, each with its columns, `columns`, and `name`, the migration's.
///
/// # Errors
/// The template is not sound, names what is not there, or puts a value where it would not be data; with the line.
pub fn render_rows(template: Text<'_>, table: &Table, name: &str) -> Result<String> {
    let words = Words::new(template.text);
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    environment.set_syntax(syntax.map_err(|e| faulty(&e, template, table))?);
    add_filters(&mut environment, &words);
    let quoting = words.clone();
    environment.set_formatter(move |out, _, value| {
        let written = match value.kind() {
            ValueKind::Undefined => return Err(minijinja::Error::from(ErrorKind::UndefinedError)),
            ValueKind::None => "NULL".to_owned(),
            ValueKind::Bool | ValueKind::Number => value.to_string(),
            ValueKind::String if value.is_safe() => value.to_string(),
            ValueKind::String => {
                let text = value.to_string();
                if text.contains(&quoting.stem) {
                    let why = "a text that was made from other values cannot be a value itself";
                    return Err(minijinja::Error::new(ErrorKind::InvalidOperation, why));
                }
                quoting.add(literal(&text))
            }
            _ => {
                let why = "a list or a row is no value; name one of its columns";
                return Err(minijinja::Error::new(ErrorKind::InvalidOperation, why));
            }
        };
        std::fmt::Write::write_str(out, &written).map_err(|_| minijinja::Error::from(ErrorKind::WriteFailure))
    });
    let row = |row: &BTreeMap<String, String>| Value::from_pairs(row.iter().map(|(k, v)| (k.as_str(), v.as_str())));
    let context = Value::from_pairs([
        ("rows", table.rows.iter().map(row).collect::<Value>()),
        ("columns", table.columns.iter().map(String::as_str).collect::<Value>()),
        ("name", Value::from(name)),
    ]);
    let outcome = environment
        .template_from_named_str(template.path, template.text)
        .and_then(|template| template.render_with_spans(context));
    let (text, spans) = outcome.map_err(|e| faulty(&e, template, table))?;
    fill_in(&text, &words, &|at| {
        let line = spans.iter().find(|span| span.output_range().contains(&at)).map_or(0, OutputSpan::line);
        Location::new(template.path, line, 0)
    })
}

/// What a value may become beside a literal. `safe` and its kin are not among them.
fn add_filters(environment: &mut Environment<'_>, words: &Words) {
    let fault = |why: String| minijinja::Error::new(ErrorKind::InvalidOperation, why);
    let own = words.clone();
    environment.add_filter("literal", move |text: String| own.value(literal(&text)));
    let own = words.clone();
    environment.add_filter("identifier", move |text: String| match text.trim().is_empty() {
        true => Err(fault("an empty value names nothing".to_owned())),
        false => Ok(own.value(Name::new(&text).quoted())),
    });
    let own = words.clone();
    environment.add_filter("number", move |text: String| {
        let number = text.trim();
        let plain = number.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
        match plain && number.parse::<f64>().is_ok_and(f64::is_finite) {
            // In parentheses, since two minus signs in a row begin a comment.
            true if number.starts_with(['-', '+']) => Ok(own.value(format!("({number})"))),
            true => Ok(own.value(number.to_owned())),
            false => Err(fault(format!("`{}` is not a number", number.escape_debug()))),
        }
    });
    let own = words.clone();
    environment.add_filter("nullable", move |text: String| match text.is_empty() {
        true => own.value("NULL".to_owned()),
        false => own.value(literal(&text)),
    });
    environment.add_filter("trim", |text: String| text.trim().to_owned());
    environment.add_filter("lower", |text: String| text.to_lowercase());
    environment.add_filter("upper", |text: String| text.to_uppercase());
    environment.add_filter("length", |value: Value| value.len());
}

fn faulty(error: &minijinja::Error, template: Text<'_>, table: &Table) -> Error {
    let at = Location::new(template.path, error.line().unwrap_or(0), 0);
    let what = match error.kind() {
        ErrorKind::UndefinedError => "the template names what is not there".to_owned(),
        kind => error.detail().map_or_else(|| kind.to_string(), str::to_owned),
    };
    let fault = Error::failed(what).at(at);
    match error.kind() {
        ErrorKind::UndefinedError => fault.help(format!(
            "it may name `rows`, `columns` and `name`, and of each row: {}.",
            table.columns.iter().map(|column| column.escape_debug().to_string()).collect::<Vec<_>>().join(", ")
        )),
        ErrorKind::UnknownFilter => {
            fault.help("the filters are: identifier, length, literal, lower, nullable, number, trim, upper.")
        }
        _ => fault,
    }
}

/// Puts the SQL into the place of the words, where each is a token by itself.
fn fill_in(text: &str, words: &Words, place: &dyn Fn(usize) -> Location) -> Result<String> {
    let sql = words.take();
    let tokens: BTreeSet<(usize, usize)> = Scanner::new(text)
        .map_while(std::result::Result::ok)
        .filter(|piece| piece.kind == PieceKind::Token)
        .map(|piece| (piece.range.start, piece.range.end))
        .collect();
    let (mut filled, mut from) = (String::with_capacity(text.len()), 0);
    for (at, _) in text.match_indices(&words.stem) {
        let rest = text.get(at + words.stem.len()..).unwrap_or_default();
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let word = at..at + words.stem.len() + digits + 1;
        let piece = rest.get(..digits).and_then(|n| n.parse::<usize>().ok()).and_then(|n| sql.get(n));
        let Some(piece) = piece.filter(|_| tokens.contains(&(word.start, word.end)) && stands_alone(text, &word))
        else {
            return Err(Error::failed("a value stands where it would not be data")
                .at(place(at))
                .cause("it is inside quotes, a comment, a $$ body or COPY data, or is joined to a word")
                .help("a value brings its own quotes: write `{{ row.COLUMN }}` where a literal belongs."));
        };
        filled.push_str(text.get(from..at).unwrap_or_default());
        filled.push_str(piece);
        from = word.end;
    }
    filled.push_str(text.get(from..).unwrap_or_default());
    Ok(filled)
}

/// Whether nothing before or behind a word would become one with a quoted value.
fn stands_alone(text: &str, word: &Range<usize>) -> bool {
    let joins = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '\'' | '"' | '&' | '\\');
    let before = text.get(..word.start).and_then(|before| before.chars().next_back());
    let after = text.get(word.end..).and_then(|after| after.chars().next());
    !before.into_iter().chain(after).any(joins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sql;
    use proptest::prelude::*;

    fn table(text: &str) -> Result<Table> {
        Table::parse(Text { path: "rows.csv", text })
    }

    fn render(template: &str, data: &str) -> Result<String> {
        render_rows(Text { path: "t.sql", text: template }, &table(data)?, "load_it")
    }

    #[test]
    fn each_row_is_repeated_with_its_values_as_literals() {
        let template = "-- migrate:up\nINSERT INTO {{ 'my Table' | identifier }} (id, who, at) VALUES\n\
            {% for row in rows %}\n    ({{ row.id | number }}, {{ row.who }}, {{ row.at | nullable }}){{ '' if false }}\n{% endfor %}\n;\n";
        let template = template.replace("{{ '' if false }}", "{% if not loop.last %},{% endif %}");
        assert_eq!(
            render(&template, "id,who,at\n1,O'Hara,\n-2,\"a \\, \"\"b\"\"\nc\",2024-01-01\n").unwrap(),
            "-- migrate:up\nINSERT INTO \"my Table\" (id, who, at) VALUES\n    (1, 'O''Hara', NULL),    \
             ((-2), E'a \\\\, \"b\"\nc', '2024-01-01');\n"
        );
        assert_eq!(render("SELECT {{ name }}, {{ rows | length }};", "a\n1\n").unwrap(), "SELECT 'load_it', 1;");
    }

    #[test]
    fn faults_of_the_table_have_a_line() {
        for (data, expected) in [
            ("a,b\n1,2\n3\n", "a line has 1 value where 2 columns are named at rows.csv:3"),
            ("a,b\n1,2\n\n3,4,5\n", "a line has 3 values where 2 columns are named at rows.csv:4"),
            ("a,a\n", "the column a is there twice at rows.csv:1"),
            ("a,\n", "a column has no name at rows.csv:1"),
            ("", "the table of values is empty at rows.csv"),
            ("a\nx\0y\n", "a value holds a NUL character, which PostgreSQL cannot at rows.csv:2"),
        ] {
            assert_eq!(table(data).unwrap_err().to_string(), expected, "{data:?}");
        }
    }

    #[test]
    fn faults_of_the_template_have_a_line() {
        for (template, expected) in [
            ("\n{% for row in rows %}{{ row.b }}{% endfor %}", "the template names what is not there at t.sql:2"),
            ("SELECT 1;\n{{ nothing }}", "the template names what is not there at t.sql:2"),
            ("SELECT 1;\n{% for row in rows %}\n", "unexpected end of input, expected end of block at t.sql:2"),
            ("\n{{ rows[0].a | number }}", "`x` is not a number at t.sql:2"),
            ("{{ name | safe }}", "filter safe is unknown at t.sql:1"),
            ("{{ rows }}", "a list or a row is no value; name one of its columns at t.sql:1"),
        ] {
            assert_eq!(render(template, "a\nx\n").unwrap_err().to_string(), expected, "{template}");
        }
        let error = render("{{ rows[0].b }}", "a,c d\nx,y\n").unwrap_err();
        assert_eq!(error.helps(), ["it may name `rows`, `columns` and `name`, and of each row: a, c d."]);
    }

    #[test]
    fn a_value_stands_nowhere_but_where_it_is_data() {
        for template in [
            "SELECT 1;\nSELECT '{{ name }}';",
            "SELECT 1;\n-- {{ name }}",
            "SELECT 1;\n/* {{ name }} */",
            "SELECT 1;\nDO $$ BEGIN PERFORM {{ name }}; END $$;",
            "SELECT 1;\nSELECT \"{{ name }}\";",
            "SELECT 1;\nSELECT E{{ name }};",
            "SELECT 1;\nSELECT U&{{ name }};",
            "SELECT 1;\nSELECT a{{ name }};",
            "SELECT 1;\nSELECT {{ name }}'x';",
            "COPY t FROM stdin;\n{{ name }}\n\\.\n",
        ] {
            let error = render(template, "a\nx\n").unwrap_err();
            assert!(error.to_string().starts_with("a value stands where it would not be data at t.sql:2:"), "{error}");
        }
        assert!(render("SELECT {{ name }}{{ name }}", "a\nx\n").is_err());
        assert!(render("{% set x %}{{ name }}{% endset %}SELECT {{ x }}", "a\nx\n").is_err());
    }

    proptest! {
        #[test]
        fn whatever_a_value_is_it_stays_one_literal(value in "[^\\x00]*", name in "[^\\x00.]{0,9}[a-z]") {
            let rows = vec![BTreeMap::from([("v".to_owned(), value.clone()), ("n".to_owned(), name)])];
            let table = Table { columns: vec!["v".into(), "n".into()], rows };
            let text = "SELECT {{ rows[0].v }} AS {{ rows[0].n | identifier }} FROM t;";
            let filled = render_rows(Text { path: "t", text }, &table, "x").unwrap();
            let statements = sql::split(&filled).unwrap();
            prop_assert_eq!(statements.len(), 1);
            let tokens = Scanner::new(&filled).filter(|piece| piece.as_ref().unwrap().kind == PieceKind::Token).count();
            prop_assert_eq!(tokens, 6, "{}", filled);
        }
    }
}
