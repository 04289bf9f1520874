//! Which databases an environment has: by list, by pattern against the server's own, or by a query.

use super::{Member, Note};
use crate::engine::project::Project;
use crate::engine::session::{self, Environ, Session, environ};
use crate::engine::target::{self, Target};
use crate::error::{Error, Result};
use crate::model::config::{Canaries, Targets, is_connection_string, is_database_name};
use crate::model::glob;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::SimpleQueryMessage;

/// What one row of the query says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Row {
    database: Option<String>,
    url: Option<String>,
    label: Option<String>,
    canary: bool,
}

/// The databases, each once.
pub(super) async fn members(
    project: &Project,
    address: &Target,
    targets: &Targets,
    note: &Note,
) -> Result<Vec<Member>> {
    let rows = match targets {
        Targets::List(list) => Ok(list.iter().map(|target| row_of(target)).collect()),
        Targets::Pattern(patterns) => by_pattern(address, patterns).await,
        Targets::Query { query, database } => by_query(address, query, database.as_deref()).await,
    };
    let rows: Vec<Row> = rows.map_err(|error| not_found(address, &error))?;
    if rows.is_empty() && matches!(targets, Targets::Query { .. }) {
        note(format!("the query gives no database; the environment {} is empty", address.selected.name));
    }
    let environ = environ::read(&project.root, Some(&address.selected.name))?;
    let mut members: Vec<Member> = Vec::new();
    let (mut addresses, mut labels) = (BTreeSet::new(), BTreeMap::new());
    for (n, row) in rows.into_iter().enumerate() {
        let member = match member(project, address, &environ, row).await {
            // A list stands in the configuration, and says itself what is wrong.
            Err(error) if !matches!(targets, Targets::List(_)) => {
                return Err(not_found(address, &error.about(format!("row {} of the query", n + 1))));
            }
            member => member?,
        };
        let description = member.target.describe();
        if !addresses.insert(member.target.settings.url_without_password()) {
            note(format!("{description} is named more than once and counts once"));
            continue;
        }
        if let Some(other) = labels.insert(member.name.clone(), description.clone()) {
            let what = format!("two databases are called `{}`", member.name);
            return Err(Error::usage(what).cause(format!("{other}, and {description}")));
        }
        members.push(member);
    }
    Ok(members)
}

/// What a row names, checked: a server shortens a name that is too long, and takes an empty one for another database.
async fn member(project: &Project, address: &Target, environ: &Environ, row: Row) -> Result<Member> {
    let target = match (&row.url, &row.database) {
        (Some(url), database) => {
            let mut settings = session::resolve(Some(url), environ)?;
            if let Some(database) = database {
                settings = settings.with_database(database);
            }
            let mut target = Target::at(project, address.selected.clone(), settings).await?;
            (target.common, target.placeholders) = (address.common.clone(), address.placeholders.clone());
            target
        }
        (None, Some(database)) => address.beside(database),
        (None, None) => return Err(Error::failed("it names no database")),
    };
    let database = target.settings.database();
    if !is_database_name(database) {
        return Err(Error::failed(format!("`{}` cannot name a database", database.escape_debug()))
            .help("a name has 1 to 63 bytes, none of them a control character."));
    }
    let name = match (row.label, row.url) {
        // It is printed, and typed after `--target`.
        (Some(label), _) if label.chars().any(char::is_control) => {
            return Err(Error::failed(format!("`{}` cannot be a label", label.escape_debug()))
                .help("a label has no control characters."));
        }
        (Some(label), _) => label,
        (None, Some(_)) => target.settings.to_string().replace('`', ""),
        (None, None) => database.to_owned(),
    };
    Ok(Member { name, target, canary: row.canary })
}

fn not_found(address: &Target, error: &Error) -> Error {
    let found = Error::failed(format!("cannot find the databases of the environment {}", address.selected.name));
    let found = error.causes().iter().fold(found.cause(error.message()), Error::cause);
    let found = error.details().iter().cloned().fold(found, Error::detail);
    error.helps().iter().cloned().fold(found, Error::help)
}

fn row_of(target: &str) -> Row {
    match is_connection_string(target) {
        true => Row { url: Some(target.to_owned()), ..Row::default() },
        false => Row { database: Some(target.to_owned()), ..Row::default() },
    }
}

/// The server's databases, without templates and those that let nobody in.
async fn by_pattern(address: &Target, patterns: &[String]) -> Result<Vec<Row>> {
    let session = match address.connect().await {
        // The address may name a database that is not made yet.
        Err(e) if target::is_missing(&e) && !address.is_unmade() => address.maintenance().await?,
        other => other?,
    };
    let sql = "SELECT datname FROM pg_catalog.pg_database WHERE NOT datistemplate AND datallowconn ORDER BY datname COLLATE \"C\"";
    let names = session.query_rows(sql).await?.into_iter().flatten().flatten();
    let rows: Vec<Row> = names
        .filter(|name| patterns.iter().any(|pattern| glob::matches(pattern, name)))
        .map(|name| Row { database: Some(name), ..Row::default() })
        .collect();
    session.close().await;
    Ok(rows)
}

/// No database of the server has a name that fits.
pub(super) fn fits_none(address: &Target, patterns: &[String]) -> Error {
    let env = &address.selected.name;
    let list: Vec<String> = patterns.iter().map(|pattern| format!("`{}`", pattern.escape_debug())).collect();
    let what = Error::failed(format!("no database of {} matches {}", server(address), list.join(", ")));
    not_found(address, &what).help(format!(
        "check the address and `targets` of [env.{env}] in dbbuild.toml; the first database is made by `dbbuild bootstrap --env {env} --target NAME`."
    ))
}

/// "db1:5432".
fn server(address: &Target) -> String {
    let text = address.describe();
    text.split_once(" on ").map_or(text.clone(), |(_, server)| server.to_owned())
}

async fn by_query(address: &Target, query: &str, database: Option<&str>) -> Result<Vec<Row>> {
    let asked = database.map_or_else(|| address.clone(), |name| address.beside(name));
    let session: Session = asked.connect().await?;
    // It only asks: whatever it would write is refused.
    let messages = session.simple_raw(&format!("BEGIN READ ONLY;\n{query}\n;\nROLLBACK")).await;
    session.close().await;
    let messages = messages.map_err(|error| error.to_error("the query of `targets` failed"))?;
    messages
        .iter()
        .filter_map(|message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None })
        .enumerate()
        .map(|(n, row)| {
            let cells = row.columns().iter().enumerate().map(|(n, column)| (column.name(), row.get(n)));
            read_row(&cells.collect::<Vec<_>>()).map_err(|error| error.about(format!("row {} of the query", n + 1)))
        })
        .collect()
}

/// One row of the query: columns by their names; one alone is the database's name, whatever it is called.
fn read_row(cells: &[(&str, Option<&str>)]) -> Result<Row> {
    let mut row = Row::default();
    for (name, value) in cells {
        if value.is_some_and(str::is_empty) {
            return Err(Error::failed(format!("`{}` is empty", name.escape_debug())).help("NULL stands for none."));
        }
        let value = value.map(str::to_owned);
        match *name {
            "database" => row.database = value,
            "url" => row.url = value,
            "label" => row.label = value,
            "canary" => row.canary = is_true(value.as_deref())?,
            _ if cells.len() == 1 => row.database = value,
            other => {
                return Err(Error::failed(format!("the query gives a column `{}`", other.escape_debug())).help(
                    "its columns are called database, url, label and canary; one alone is the database's name.",
                ));
            }
        }
    }
    Ok(row)
}

fn is_true(value: Option<&str>) -> Result<bool> {
    match value {
        Some("t" | "true") => Ok(true),
        Some("f" | "false") | None => Ok(false),
        Some(other) => Err(Error::failed(format!("`canary` is `{}`, neither true nor false", other.escape_debug()))),
    }
}

/// Says which are canaries, beside those that the query said.
pub(super) fn choose_canaries(members: &mut [Member], canaries: &Canaries) -> Result<()> {
    match canaries {
        Canaries::First(number) => members.iter_mut().take(*number).for_each(|member| member.canary = true),
        Canaries::Named(patterns) => {
            for pattern in patterns {
                let mut meant = members.iter_mut().filter(|member| member.is_meant_by(pattern)).peekable();
                if meant.peek().is_none() {
                    return Err(Error::failed(format!(
                        "there is no database for the canary `{}`",
                        pattern.escape_debug()
                    ))
                    .help("`canaries` of the environment in dbbuild.toml names it; nothing was changed."));
                }
                meant.for_each(|member| member.canary = true);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_by_name_and_one_alone_is_the_database() {
        let text = |text: &str| Some(text.to_owned());
        let row = read_row(&[("datname", Some("a"))]).unwrap();
        assert_eq!(row, Row { database: text("a"), ..Row::default() });
        let row = read_row(&[("canary", Some("t")), ("label", Some("A")), ("database", Some("a"))]).unwrap();
        assert_eq!(row, Row { database: text("a"), url: None, label: text("A"), canary: true });
        let row = read_row(&[("url", Some("postgres://x/a")), ("canary", None)]).unwrap();
        assert_eq!(row, Row { url: text("postgres://x/a"), ..Row::default() });
        for (cells, what) in [
            ([("database", Some("a")), ("name", Some("b"))], "`name`"),
            ([("database", Some("")), ("label", Some("b"))], "`database` is empty"),
            ([("database", Some("a")), ("url", Some(""))], "`url` is empty"),
            ([("database", Some("a")), ("canary", Some("yes"))], "neither true nor false"),
        ] {
            let error = read_row(&cells).unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
