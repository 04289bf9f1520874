//! `dbbuild attic list|show|export|restore|drop`: what migrations that were taken back had in them.

use crate::cli::output::count;
use crate::cli::{Context, Done, output, ran};
use crate::engine::attic::export::{self, Format};
use crate::engine::attic::{self, stored};
use crate::engine::deployment::{self, KeptRequest};
use crate::engine::files;
use crate::engine::project::Project;
use crate::engine::runner::Event;
use crate::engine::session::Session;
use crate::engine::target::{Start, Target};
use crate::error::{Error, OrFailed, Result};
use crate::model::attic::Entry;
use crate::model::attic::given::OnConflict;
use crate::model::guard;
use comfy_table::{Table, presets};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Arguments of `attic`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show what is kept: of which migration, why, how many rows, since when
    List,
    /// Show the rows of an entry
    Show {
        /// The number that `list` shows
        id: i64,
        /// At most so many rows
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u64,
    },
    /// Write entries to standard output or to a file that only its owner may read
    Export {
        /// The number that `list` shows
        #[arg(required_unless_present = "all", value_name = "ID")]
        ids: Vec<i64>,
        /// Everything
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// csv (one entry), json (one object a line) or sql (statements that put the rows back)
        #[arg(long, value_name = "FORMAT")]
        format: Option<Format>,
        /// The file
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Give entries of applied migrations back, and decide conflicts that were only reported
    ///
    /// In one transaction: what is in conflict no longer is given back, the others are told again, or decided by
    /// --on-conflict. That wants --confirm with the environment's name on a protected one.
    Restore {
        /// The number that `list` shows
        #[arg(required_unless_present = "all", value_name = "ID")]
        ids: Vec<i64>,
        /// Everything of migrations that are applied
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// What becomes of kept values that were changed meanwhile: report, keep-current or restore
        #[arg(long, value_name = "WHAT", default_value = "report")]
        on_conflict: OnConflict,
        /// The name of the environment, where that is protected
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
    /// Drop entries for good, before they are given back
    ///
    /// Asks on a terminal, and wants --yes elsewhere; on a protected environment it wants --confirm with the
    /// environment's name.
    Drop {
        /// The number that `list` shows
        #[arg(required_unless_present = "all", value_name = "ID")]
        ids: Vec<i64>,
        /// Everything
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// The name of the environment, where that is protected
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
}

/// Runs.
///
/// # Errors
/// The database cannot be reached, a newer dbbuild made its attic, or there is no such entry.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let project = context.project()?;
    let target = context.target(&project, Start::Never).await?;
    match args.action {
        Action::List => list(context, &target).await,
        Action::Show { id, limit } => show(context, &target, id, limit).await,
        Action::Export { ids, all, format, output } => {
            write_out(context, &target, chosen(&ids, all), format, output.as_deref()).await
        }
        Action::Restore { ids, all, on_conflict, confirm } => {
            let request = KeptRequest { ids: chosen(&ids, all), on_conflict, confirm: confirm.as_deref() };
            restore(context, &project, &target, &request).await
        }
        Action::Drop { ids, all, confirm } => {
            let session = target.connect_to_write(&project.config).await?;
            let found = target.read(&session).await?;
            let entries = some(&session, chosen(&ids, all)).await?;
            if entries.is_empty() {
                return empty(context, &target);
            }
            guard::judge_drop_kept(&found.facts, &target.selected, confirm.as_deref())?;
            agree(context, &target, &entries, confirm.is_some())?;
            let _lock = target.lock(&project.config, &|what| context.output.waits_for(what)).await?;
            let ids: Vec<i64> = entries.iter().map(|entry| entry.id).collect();
            let dropped = export::drop_entries(&session, &ids).await?;
            dropped.iter().for_each(|entry| context.output.line(&format!("dropped {}", describe(entry))));
            let dropped: Vec<Value> = dropped.iter().map(value).collect();
            context.output.json(&json!({ "database": target.describe(), "dropped": dropped }));
            Ok(Done::Well)
        }
    }
}

/// Which entries are meant: none for all of them.
fn chosen(ids: &[i64], all: bool) -> Option<&[i64]> {
    (!all).then_some(ids)
}

/// The entries; none where there is no attic.
async fn kept(session: &Session) -> Result<Vec<Entry>> {
    if attic::is_there(session).await? { stored::entries(session).await } else { Ok(Vec::new()) }
}

/// The entries that are meant, each of which must be there.
async fn some(session: &Session, ids: Option<&[i64]>) -> Result<Vec<Entry>> {
    let all = kept(session).await?;
    let Some(ids) = ids else { return Ok(all) };
    if all.is_empty() {
        return Ok(all);
    }
    stored::chosen(&all, ids)
}

fn empty(context: &Context, target: &Target) -> Result<Done> {
    context.output.answer(&format!("the attic of {} is empty", target.describe()));
    context.output.json(&json!({ "database": target.describe(), "entries": [] }));
    Ok(Done::Well)
}

async fn list(context: &Context, target: &Target) -> Result<Done> {
    let session = target.connect().await?;
    let entries = kept(&session).await?;
    if entries.is_empty() {
        return empty(context, target);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["id", "migration", "kind", "reason", "of", "columns", "rows", "kept at", "by"]);
    for entry in &entries {
        let when = entry.kept_at.chars().take(19).collect::<String>();
        table.add_row([
            entry.id.to_string(),
            entry.label(),
            entry.kind.to_string(),
            entry.reason.to_string(),
            entry.relation(),
            entry.columns.join(", "),
            entry.rows.to_string(),
            when,
            entry.kept_by.clone(),
        ]);
    }
    context.output.answer(&table.trim_fmt());
    let entries: Vec<Value> = entries.iter().map(value).collect();
    context.output.json(&json!({ "database": target.describe(), "entries": entries }));
    Ok(Done::Well)
}

async fn show(context: &Context, target: &Target, id: i64, limit: u64) -> Result<Done> {
    let session = target.connect().await?;
    let entries = some(&session, Some(&[id])).await?;
    let Some(entry) = entries.first() else { return empty(context, target) };
    let (names, rows) = export::rows(&session, entry, limit).await?;
    let out = &context.output;
    out.answer(&describe(entry));
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(&names);
    for row in &rows {
        table.add_row(row.iter().map(|cell| cell.as_deref().unwrap_or("NULL")));
    }
    out.answer(&table.trim_fmt());
    if (rows.len() as u64) < entry.rows {
        out.answer(&format!(
            "{} of {} rows; `--limit` shows more, `dbbuild attic export {id}` all",
            rows.len(),
            entry.rows
        ));
    }
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            names.iter().zip(row).map(|(name, cell)| (name.clone(), json!(cell))).collect::<serde_json::Map<_, _>>()
        })
        .map(Value::Object)
        .collect();
    out.json(&json!({ "database": target.describe(), "entry": value(entry), "rows": rows }));
    Ok(Done::Well)
}

async fn write_out(
    context: &Context,
    target: &Target,
    ids: Option<&[i64]>,
    format: Option<Format>,
    path: Option<&Path>,
) -> Result<Done> {
    let session = target.connect().await?;
    let entries = some(&session, ids).await?;
    if entries.is_empty() && path.is_none() {
        return empty(context, target);
    }
    let format = format.unwrap_or(if entries.len() > 1 { Format::Sql } else { Format::Csv });
    if format == Format::Csv && entries.len() > 1 {
        return Err(
            Error::usage("csv holds one table").help("export one entry, or take `--format json` or `--format sql`.")
        );
    }
    let Some(path) = path else {
        return export::export(&session, &entries, format, &mut Pipe).await.map(|()| Done::Well);
    };
    let failed = || format!("cannot write {}", path.display());
    let mut file = files::Private::begin(path).or_failed(failed)?;
    export::export(&session, &entries, format, &mut file).await?;
    file.finish().or_failed(failed)?;
    let rows: u64 = entries.iter().map(|entry| entry.rows).sum();
    context.output.line(&format!(
        "{} holds {} of the attic of {}",
        path.display(),
        count(rows as usize, "row"),
        target.describe()
    ));
    let ids: Vec<i64> = entries.iter().map(|entry| entry.id).collect();
    context.output.json(
        &json!({ "database": target.describe(), "file": path.display().to_string(), "entries": ids, "rows": rows }),
    );
    Ok(Done::Well)
}

async fn restore(context: &Context, project: &Project, target: &Target, request: &KeptRequest<'_>) -> Result<Done> {
    let out = &context.output;
    let sink = |event: Event| match event {
        Event::Waiting(what) => out.waits_for(&what),
        Event::Note(text) => out.note(&text),
        _ => {}
    };
    let restored = deployment::restore(project, target, request, &sink).await?;
    ran::show_given(out, &restored.given);
    for entry in &restored.waiting {
        out.note(&format!("{}; it comes back when that migration is applied", describe(entry)));
    }
    if restored.given.is_empty() {
        out.line(&format!("the attic of {} has nothing of an applied migration", target.describe()));
    }
    let given: Vec<Value> = restored.given.iter().map(ran::given_json).collect();
    let waiting: Vec<Value> = restored.waiting.iter().map(value).collect();
    out.json(&json!({ "database": target.describe(), "given_back": given, "waiting": waiting }));
    Ok(Done::Well)
}

/// Standard output.
struct Pipe;

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        output::raw(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn agree(context: &Context, target: &Target, entries: &[Entry], confirmed: bool) -> Result<()> {
    if confirmed || context.globals.yes {
        return Ok(());
    }
    let all: Vec<String> = entries.iter().map(describe).collect();
    if output::is_interactive() {
        let question = format!("{}\nThis will be lost from the attic of {}. Go on?", all.join("\n"), target.describe());
        return match output::confirm(&question) {
            true => Ok(()),
            false => Err(Error::failed("nothing was dropped").cause("the answer was no")),
        };
    }
    Err(Error::failed(format!("refused to drop from the attic of {}", target.describe()))
        .detail(all.join("\n"))
        .help("`dbbuild attic export` writes them to a file; if you mean it: `--yes`. Nothing was dropped."))
}

/// "entry 3: column shop.orders.note, 12 values, dropped (20240712093000_add_note)"
fn describe(entry: &Entry) -> String {
    format!("entry {}: {} ({})", entry.id, entry.kept().describe(), entry.label())
}

fn value(entry: &Entry) -> Value {
    json!({
        "id": entry.id, "version": entry.version, "name": entry.name, "kind": entry.kind.as_str(),
        "reason": entry.reason.as_str(), "schema": entry.schema, "table": entry.table, "columns": entry.columns,
        "key_columns": entry.key_columns, "rows": entry.rows, "kept_at": entry.kept_at, "kept_by": entry.kept_by,
        "git_commit": entry.git_commit, "dbbuild_version": entry.dbbuild_version,
    })
}
