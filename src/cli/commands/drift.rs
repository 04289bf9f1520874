//! `dbbuild drift`: a live database beside the baseline of the commit that it claims.

mod many;

use crate::cli::many::ManyArgs;
use crate::cli::output::{Output, count};
use crate::cli::{Context, Done};
use crate::engine::deployment::{self, DriftRequest, Drifted, Expected, short};
use crate::engine::runner::Event;
use crate::engine::target::Start;
use crate::error::Result;
use crate::model::catalog::{CatalogDifference, DifferenceKind, Differing, Side};

/// Arguments of `drift`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The commit to compare with instead of the one that the database claims
    #[arg(long, value_name = "REV")]
    rev: Option<String>,
    #[command(flatten)]
    many: ManyArgs,
}

/// Compares; status 3 where something differs.
///
/// # Errors
/// The database cannot be reached, or the commit is not here.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let project = context.project()?;
    let request = DriftRequest { rev: args.rev };
    if let Some(fleet) = context.fleet(&project, context.named_environment(), Start::Never).await? {
        return many::drift(context, &project, &fleet, &request, args.many).await;
    }
    let target = context.target(&project, Start::Never).await?;
    let progress = context.progress("drift", 0);
    // What a throwaway runs meanwhile is nobody's concern here.
    let sink = |event: Event| match event {
        Event::Note(_) | Event::Waiting(_) | Event::Progress(_) | Event::Begin(_) => progress.event(event),
        _ => {}
    };
    let drifted = deployment::drift(&project, &target, &request, &Expected::default(), &sink).await;
    progress.end();
    let drifted = drifted?;
    show(&context.output, &drifted, context.globals.verbose);
    context.output.json(&json(&drifted));
    Ok(if drifted.differences.is_empty() { Done::Well } else { Done::Differs })
}

/// Says how a database stands to its baseline; with both sides of each difference where `verbose` is set.
pub fn show(out: &Output, drifted: &Drifted, verbose: bool) {
    drifted.notes.iter().for_each(|note| out.note(note));
    let Drifted { database, environment, baseline, .. } = drifted;
    let from = drifted.commit.as_deref().map_or_else(|| "the files here".to_owned(), |rev| short(rev).to_owned());
    let objects = objects(&drifted.differences);
    if objects == 0 {
        out.answer(&format!("{database} ({environment}) is as {baseline} of {from} says"));
        return;
    }
    let differ = if objects == 1 { "differs" } else { "differ" };
    let said = count(objects, "object");
    out.answer(&format!("{database} ({environment}) drifted from {baseline} of {from}: {said} {differ}"));
    let differing = Differing::new(&drifted.differences, &drifted.found, &drifted.expected);
    for (table, differences) in differing.by_table() {
        out.answer(&table.unwrap_or_else(|| "of no table".to_owned()));
        for difference in differences {
            out.answer(&format!("  {difference}"));
            if !verbose {
                continue;
            }
            for (side, line) in differing.lines(difference) {
                let sign = match side {
                    Side::Both => ' ',
                    Side::Expected => '-',
                    Side::Found => '+',
                };
                out.answer(&format!("    {sign} {line}"));
            }
        }
    }
    out.note("write a migration for what shall stay, and take back by hand what shall not; nothing was changed");
}

fn objects(differences: &[CatalogDifference]) -> usize {
    let mut objects: Vec<_> = differences.iter().map(|one| &one.object).collect();
    objects.sort();
    objects.dedup();
    objects.len()
}

/// How a database stands to its baseline, for JSON.
pub fn json(drifted: &Drifted) -> serde_json::Value {
    let differing = Differing::new(&drifted.differences, &drifted.found, &drifted.expected);
    let one = |difference: &CatalogDifference| {
        let (expected, found) = differing.sides(&difference.object);
        let (what, aspect) = match &difference.kind {
            DifferenceKind::Missing => ("missing", None),
            DifferenceKind::Unexpected => ("unexpected", None),
            DifferenceKind::Differs { aspect, .. } => ("differs", Some(aspect)),
        };
        serde_json::json!({
            "kind": difference.object.kind, "name": difference.object.identity, "table": differing.table(&difference.object),
            "what": what, "aspect": aspect, "expected": expected, "found": found, "text": difference.to_string(),
        })
    };
    serde_json::json!({
        "database": drifted.database,
        "environment": drifted.environment,
        "commit": drifted.commit,
        "baseline": drifted.baseline,
        "differences": drifted.differences.iter().map(one).collect::<Vec<_>>(),
        "notes": drifted.notes,
    })
}
