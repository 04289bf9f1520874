//! `dbbuild history OBJECT`: which commit, author, date and file made an object what it is.

use crate::cli::{Context, Done};
use crate::engine::past::{Event, Past};
use crate::error::{Error, Result};
use crate::model::baseline::{ObjectName, Wanted};
use crate::model::changelog::{self, Item};
use serde_json::{Value, json};

/// Arguments of `history`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The object: orders, shop.orders, orders.total, function shop.total(int)
    #[arg(required = true, value_name = "OBJECT")]
    object: Vec<String>,
    /// Look back from this commit, instead of HEAD
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    rev: String,
    /// At most so many commits
    #[arg(short = 'n', long, value_name = "N")]
    max_count: Option<usize>,
}

/// Shows the history.
///
/// # Errors
/// No baseline has the object, or the name means several (exit status 2).
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let wanted = Wanted::parse(&args.object.join(" "))?;
    let project = context.project()?;
    let past = Past::open(&project, &args.rev)?;
    let object = single(&wanted, past.find(&args.rev, &wanted)?)?;
    let mut events = past.events(&args.rev, &object)?;
    events.truncate(args.max_count.unwrap_or(usize::MAX));
    let out = &context.output;
    out.answer(&object.to_string());
    for event in &events {
        let commit = &event.commit;
        let day = commit.date.split('T').next().unwrap_or_default();
        let short: String = commit.id.chars().take(10).collect();
        out.answer(&format!("\n{short} {day} {}: {}", commit.author, commit.summary));
        for line in lines(&object, &changelog::items(&event.changes)) {
            out.answer(&format!("    {line}"));
        }
        for path in &event.by {
            out.answer(&format!("    by {path}"));
        }
    }
    if past.is_shallow() {
        out.note(
            "this is a shallow clone: what its first commit holds was perhaps made before; `git fetch --unshallow`",
        );
    }
    let events: Vec<Value> = events.iter().map(describe).collect();
    out.json(&json!({ "object": name(&object), "history": events }));
    Ok(Done::Well)
}

fn single(wanted: &Wanted, mut found: Vec<ObjectName>) -> Result<ObjectName> {
    match found.pop() {
        Some(only) if found.is_empty() => Ok(only),
        last => {
            let all: Vec<String> =
                found.into_iter().chain(last).map(|name| format!("{} {}", name.kind, name.qualified())).collect();
            Err(Error::usage(format!("`{}` names {} objects", wanted.text(), all.len()))
                .detail(all.join("\n"))
                .help("ask for one of them, as it is written above."))
        }
    }
}

/// The object's own changes, then those of what stands on it.
fn lines(object: &ObjectName, items: &[Item]) -> Vec<String> {
    let mut lines = Vec::new();
    for item in items {
        if item.object == *object && (item.parts.is_empty() || !item.details.is_empty()) {
            lines.push(changelog::sentence_named(item, "").replacen(" :", ":", 1).trim_end().to_owned());
        }
        for part in &item.parts {
            let name = format!("{} `{}`", part.object.kind, part.object.name);
            let name = if part.object == *object { "" } else { &name };
            lines.push(changelog::sentence_named(part, name).replacen(" :", ":", 1).trim_end().to_owned());
        }
    }
    lines
}

fn describe(event: &Event) -> Value {
    let change = |change: &crate::model::baseline::ObjectChange| {
        let aspects: Vec<Value> = change
            .aspects
            .iter()
            .map(|one| json!({ "aspect": one.label(), "before": one.before, "after": one.after }))
            .collect();
        json!({ "change": changelog::verb(change.change), "object": name(&change.object), "aspects": aspects })
    };
    let commit = &event.commit;
    json!({
        "commit": commit.id, "author": commit.author, "email": commit.email, "date": commit.date,
        "summary": commit.summary, "changes": event.changes.iter().map(change).collect::<Vec<_>>(), "by": event.by,
    })
}

/// The stable JSON form of a name.
pub fn name(object: &ObjectName) -> Value {
    json!({ "kind": object.kind, "schema": object.schema, "of": object.of, "name": object.name })
}
