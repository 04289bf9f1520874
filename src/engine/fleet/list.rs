//! Which databases an environment has: by list, by pattern against the server's own, or by a query.

use super::{Member, Note};
use crate::engine::project::Project;
use crate::engine::session::{self, Session, environ};
use crate::engine::target::Target;
use crate::error::{Error, Result};
use crate::model::config::{Canaries, Targets, is_connection_string};
use crate::model::glob;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::SimpleQueryMessage;

/// SQLSTATE of a database that does not exist.
const MISSING_DATABASE: &str = "3D000";

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
    let failed = |e: Error| {
        let what = format!("cannot find the databases of the environment {}", address.selected.name);
        let causes = std::iter::once(e.to_string()).chain(e.causes().iter().cloned());
        let error = causes.fold(Error::failed(what), Error::cause);
        e.helps().iter().fold(error, |error, help| error.help(help.clone()))
    };
    let rows = match targets {
        Targets::List(list) => list.iter().map(|target| row_of(target)).collect(),
        Targets::Pattern(patterns) => by_pattern(address, patterns).await.map_err(failed)?,
        Targets::Query { query, database } => by_query(address, query, database.as_deref()).await.map_err(failed)?,
    };
    if rows.is_empty() {
        note(format!("the query gives no database; the environment {} is empty", address.selected.name));
    }
    let environ = environ::read(&project.root, Some(&address.selected.name))?;
    let mut members: Vec<Member> = Vec::new();
    let (mut addresses, mut labels) = (BTreeSet::new(), BTreeMap::new());
    for row in rows {
        let (target, own_server) = match (&row.url, &row.database) {
            (Some(url), database) => {
                let mut settings = session::resolve(Some(url), &environ)?;
                if let Some(database) = database {
                    settings = settings.with_database(database);
                }
                let common = address.common.clone();
                let mut target = Target::at(project, address.selected.clone(), settings).await?;
                (target.common, target.placeholders) = (common, address.placeholders.clone());
                (target, true)
            }
            (None, Some(database)) => (address.beside(database), false),
            (None, None) => return Err(failed(Error::failed("a row names no database"))),
        };
        let name = row.label.unwrap_or_else(|| match own_server {
            true => target.settings.to_string().replace('`', ""),
            false => target.settings.database().to_owned(),
        });
        if !addresses.insert(target.settings.url_without_password()) {
            note(format!("{} is named more than once and counts once", target.describe()));
            continue;
        }
        if let Some(other) = labels.insert(name.clone(), target.describe()) {
            let what = format!("two databases are called `{}`", name.escape_debug());
            return Err(Error::usage(what).cause(format!("{other}, and {}", target.describe())));
        }
        members.push(Member { name, target, canary: row.canary });
    }
    Ok(members)
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
        Err(e) if e.code() == Some(MISSING_DATABASE) && !address.is_unmade() => address.maintenance().await?,
        other => other?,
    };
    let sql = "SELECT datname FROM pg_catalog.pg_database WHERE NOT datistemplate AND datallowconn ORDER BY datname COLLATE \"C\"";
    let names = session.query_rows(sql).await?.into_iter().flatten().flatten();
    let rows: Vec<Row> = names
        .filter(|name| patterns.iter().any(|pattern| glob::matches(pattern, name)))
        .map(|name| Row { database: Some(name), ..Row::default() })
        .collect();
    session.close().await;
    if rows.is_empty() {
        let list: Vec<String> = patterns.iter().map(|pattern| format!("`{}`", pattern.escape_debug())).collect();
        return Err(Error::failed(format!("no database of {} matches {}", server(address), list.join(", "))));
    }
    Ok(rows)
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
    let messages = session.simple(&format!("BEGIN READ ONLY;\n{query}\n;\nROLLBACK")).await?;
    session.close().await;
    messages
        .iter()
        .filter_map(|message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None })
        .map(|row| {
            let cells = row.columns().iter().enumerate().map(|(n, column)| (column.name(), row.get(n)));
            read_row(&cells.collect::<Vec<_>>())
        })
        .collect()
}

/// One row of the query: columns by their names; one alone is the database's name, whatever it is called.
fn read_row(cells: &[(&str, Option<&str>)]) -> Result<Row> {
    let mut row = Row::default();
    for (name, value) in cells {
        let value = value.map(str::to_owned);
        match *name {
            "database" => row.database = value,
            "url" => row.url = value,
            "label" => row.label = value,
            "canary" => row.canary = value.as_deref() == Some("t"),
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
        let error = read_row(&[("database", Some("a")), ("name", Some("b"))]).unwrap_err();
        assert!(error.to_string().contains("`name`"), "{error}");
    }
}
