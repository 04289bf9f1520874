//! `dbbuild new NAME`: a migration from a template, named by the UTC time.

mod down;

use crate::cli::{Context, Done};
use crate::engine::files;
use crate::engine::project::Project;
use crate::error::{Error, OrFailed, Result};
use crate::model::migration::{self, Migration};
use crate::model::template::{self, Params, Table, TemplateFile, Text};
use crate::model::version::Version;
use jiff::{Timestamp, tz::TimeZone};
use std::path::{Path, PathBuf};

/// Arguments of `new`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What the migration does: "add email to users"
    #[arg(required_unless_present_any = ["list", "down"])]
    name: Option<String>,
    /// The pattern to start from, which --list shows; with --data a file of your own
    #[arg(long, value_name = "TEMPLATE", default_value = template::BLANK)]
    template: String,
    /// A table of values (CSV, the first line names the columns) that a template of your own repeats for each row
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Show the templates
    #[arg(long)]
    list: bool,
    /// Draft the down part of this migration, which has none; can be given again
    #[arg(long, value_name = "VERSION", value_parser = super::baseline::version, conflicts_with_all = ["name", "data", "list"])]
    down: Vec<Version>,
    /// The table it is about
    #[arg(long)]
    table: Option<String>,
    /// The column it is about
    #[arg(long)]
    column: Option<String>,
    /// The column's type
    #[arg(long = "type", value_name = "TYPE")]
    type_name: Option<String>,
    /// The type that the column has now (change-type)
    #[arg(long, value_name = "TYPE")]
    from_type: Option<String>,
    /// The new name, or names with commas between (rename-column, split-column)
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    /// The referenced table (add-foreign-key)
    #[arg(long, value_name = "TABLE")]
    references: Option<String>,
    /// The key column that batches go by (backfill)
    #[arg(long, value_name = "COLUMN")]
    key: Option<String>,
    /// The value or expression to fill in (backfill, add-enum-value)
    #[arg(long, value_name = "EXPRESSION")]
    value: Option<String>,
    /// The condition (add-check)
    #[arg(long, value_name = "CONDITION")]
    check: Option<String>,
}

/// Writes the files.
///
/// # Errors
/// The template is unknown, or a file cannot be written.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let out = &context.output;
    if args.list {
        for known in template::names() {
            out.answer(&format!("{:<16} {}", known.name, known.about));
        }
        let list: Vec<_> =
            template::names().iter().map(|t| serde_json::json!({ "name": t.name, "about": t.about })).collect();
        out.json(&serde_json::json!({ "templates": list }));
        return Ok(Done::Well);
    }
    let project = context.project()?;
    if !args.down.is_empty() {
        return down::run(context, &project, &args.down).await;
    }
    let slug = template::slug(args.name.as_deref().unwrap_or_default())?;
    let made = match &args.data {
        Some(data) => vec![TemplateFile { text: from_rows(&args.template, data, &slug)?, name: slug }],
        None => template::render(&args.template.clone(), &slug, &args.params())?,
    };
    let mut written = Vec::new();
    for file in made {
        let path = next_path(&project, &file.name)?;
        files::create(&project.root.join(&path), file.text.as_bytes()).or_failed(|| format!("cannot write {path}"))?;
        out.answer(&path);
        written.push(path);
    }
    out.json(&serde_json::json!({ "written": written }));
    Ok(Done::Well)
}

impl Args {
    fn params(self) -> Params {
        Params {
            table: self.table,
            column: self.column,
            type_name: self.type_name,
            from_type: self.from_type,
            to: self.to,
            references: self.references,
            key: self.key,
            value: self.value,
            check: self.check,
        }
    }
}

/// The text that a template of one's own and a table of values make, checked as far as that goes without a server.
fn from_rows(template: &str, data: &Path, slug: &str) -> Result<String> {
    if template == template::BLANK {
        return Err(Error::usage("--data wants a template of your own").help("name its file: `--template FILE`."));
    }
    let read = |path: &Path| {
        let bytes =
            std::fs::read(path).map_err(|e| Error::usage(format!("cannot read {}", path.display())).cause(e))?;
        migration::decode(&path.display().to_string(), &bytes).map(|text| text.into_owned())
    };
    let (text, rows) = (read(Path::new(template))?, read(data)?);
    let table = Table::parse(Text { path: &data.display().to_string(), text: &rows })?;
    let made = template::render_rows(Text { path: template, text: &text }, &table, slug)?;
    let unsound = |e: Error| e.cause(format!("in what {template} and {} make", data.display()));
    let read = Migration::parse(&format!("1_{slug}.sql"), made.as_bytes()).map_err(unsound)?;
    read.up.split().map_err(unsound)?;
    Ok(made)
}

/// The path of a new migration: after the clock, and after those of this second that are there already.
///
/// # Errors
/// The folder cannot be read.
pub fn next_path(project: &Project, name: &str) -> Result<String> {
    let folder = &project.config.paths.migrations;
    let taken = versions(&project.root.join(folder))?;
    let mut second = Timestamp::now().as_second();
    while taken.contains(&version(second)?) {
        second += 1;
    }
    Ok(format!("{folder}/{}_{name}.sql", version(second)?))
}

/// UTC to the second: 20240712093000.
pub fn version(second: i64) -> Result<String> {
    let time =
        Timestamp::from_second(second).map_err(|e| Error::failed("the clock shows no sensible time").cause(e))?;
    Ok(time.to_zoned(TimeZone::UTC).strftime("%Y%m%d%H%M%S").to_string())
}

/// The versions that are taken already.
fn versions(folder: &std::path::Path) -> Result<Vec<String>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).or_failed(|| format!("cannot read the folder {}", folder.display()))?;
    let digits = |name: String| name.chars().take_while(char::is_ascii_digit).collect::<String>();
    Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).map(digits).collect())
}
