//! What `dbbuild hba` shows of a judged file, and of what sets a server apart: for people, and as JSON.

use crate::cli::output::{Output, count};
use crate::engine::hba::check::{Judged, Outcome, Report, acceptance};
use crate::engine::hba::live::Comparison;
use crate::model::hba::{Finding, Level, Parsed, Refusal, Rule};
use serde_json::{Value, json};

/// Everything but the errors, which end the command.
pub(super) fn report(output: &Output, report: &Report, strict: bool) {
    report.notes.iter().for_each(|note| output.note(note));
    for one in &report.judged {
        let whose = if one.environments.is_empty() { "no environment".to_owned() } else { one.environments.join(", ") };
        let rules = count(one.parsed.rules.len(), "rule");
        output.line(&format!("{} ({whose}): {rules}, read by {}", one.files.main, report.server));
        warnings(output, one, strict);
        for finding in &one.findings {
            if let Some(reason) = &finding.accepted {
                output.detail(&format!("{}:{}: {} (accepted: {reason})", finding.path, finding.line, finding.message));
            }
        }
        expectations(output, one);
    }
}

fn warnings(output: &Output, one: &Judged, strict: bool) {
    if strict {
        return;
    }
    for refusal in one.parsed.refusals.iter().filter(|refusal| refusal.harmless) {
        output.warning(&format!("{}:{}: {}", refusal.path, refusal.line, refusal.message), None);
    }
    for finding in one.findings.iter().filter(|f| f.accepted.is_none() && f.level == Level::Warning) {
        let help = format!("{} {}", finding.remedy, acceptance(finding));
        output.warning(&format!("{}:{}: {}", finding.path, finding.line, finding.message), Some(&help));
    }
    for idle in &one.idle {
        output.warning(&format!("{}:{}: `dbbuild:accept` accepts nothing", idle.path, idle.line), Some("remove it."));
    }
}

fn expectations(output: &Output, one: &Judged) {
    let hold: Vec<&Outcome> = one.outcomes.iter().filter(|outcome| outcome.instead.is_none()).collect();
    if one.outcomes.is_empty() {
        return;
    }
    let tried = hold.iter().filter(|outcome| outcome.login.is_ok()).count();
    output.line(&format!(
        "  {} of {} hold: {tried} by real logins, {} by the first line that fits alone",
        hold.len(),
        count(one.outcomes.len(), "expectation"),
        hold.len() - tried
    ));
    for outcome in hold {
        let how = match &outcome.login {
            Ok(()) => "tried".to_owned(),
            Err(why) => format!("first match only: {why}"),
        };
        let rule = outcome.rule.as_deref().unwrap_or("no line fits");
        output.detail(&format!("  {}: {} ({rule}; {how})", outcome.about, outcome.wanted));
    }
}

/// The stable JSON form.
pub(super) fn report_json(report: &Report) -> Value {
    let files: Vec<Value> = report
        .judged
        .iter()
        .map(|one| {
            json!({
                "path": one.files.main, "environments": one.environments,
                "rules": rules(&one.parsed), "errors": refusals(&one.parsed),
                "findings": one.findings.iter().map(finding).collect::<Vec<_>>(),
                "expectations": one.outcomes.iter().map(|outcome| expectation(outcome, &report.access)).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({ "server": report.server, "files": files })
}

fn rules(parsed: &Parsed) -> Vec<Value> {
    parsed.rules.iter().map(rule).collect()
}

fn rule(rule: &Rule) -> Value {
    json!({ "path": rule.path, "line": rule.line, "type": rule.kind.as_str(), "method": rule.method, "rule": rule.shown })
}

fn refusals(parsed: &Parsed) -> Vec<Value> {
    let one = |r: &Refusal| json!({ "path": r.path, "line": r.line, "message": r.message, "harmless": r.harmless });
    parsed.refusals.iter().map(one).collect()
}

fn finding(finding: &Finding) -> Value {
    json!({
        "path": finding.path, "line": finding.line, "code": finding.code.as_str(),
        "level": match finding.level { Level::Error => "error", Level::Warning => "warning" },
        "message": finding.message, "remedy": finding.remedy, "accepted": finding.accepted,
    })
}

fn expectation(outcome: &Outcome, path: &str) -> Value {
    json!({
        "path": path, "line": outcome.line, "about": outcome.about, "wanted": outcome.wanted,
        "holds": outcome.instead.is_none(), "instead": outcome.instead, "rule": outcome.rule,
        "tried": outcome.login.is_ok(), "not_tried": outcome.login.as_ref().err(),
    })
}

/// What would change, and why it might be refused.
pub(super) fn comparison(output: &Output, compared: &Comparison, server: &str) {
    compared.report.notes.iter().for_each(|note| output.note(note));
    let live = &compared.live;
    if let Err(why) = &live.files {
        output.note(&format!("the text of the server's file cannot be read, only its rules: {why}"));
    }
    let harmless = live.parsed.refusals.iter().filter(|refusal| refusal.harmless);
    harmless.for_each(|refusal| output.note(&format!("{}: {}", on_server(refusal), refusal.message)));
    for refusal in live.parsed.refusals.iter().filter(|refusal| !refusal.harmless) {
        output.warning(
            &format!("{server} does not take {}: {}", on_server(refusal), refusal.message),
            Some("it keeps the rules that it read before."),
        );
    }
    if live.unread {
        let text = "the server's file was changed after the server read it: other rules may be in force";
        output.warning(text, Some("`SELECT pg_reload_conf()`, or `dbbuild hba apply`."));
    }
    for fault in compared.report.faults(false) {
        output.warning(&format!("`dbbuild hba apply` would be refused: {fault}"), None);
    }
    if compared.changes.is_empty() && compared.text.is_empty() {
        return output.line(&format!("{server} has the access file of the repository"));
    }
    match compared.changes.len() {
        0 => output.line("the rules are the same; comments or layout differ"),
        n => output.line(&format!("{} on {server}:", count(n, "change"))),
    }
    for change in &compared.changes {
        let sign = if change.added { '+' } else { '-' };
        output.line(&format!("  {sign} {}   ({})", change.rule, change.place));
    }
    if !compared.text.is_empty() {
        output.line("");
        output.line(compared.text.trim_end());
    }
}

fn on_server(refusal: &Refusal) -> String {
    let file = refusal.path.rsplit('/').next().unwrap_or_default();
    if refusal.line == 0 { format!("its {file}") } else { format!("line {} of its {file}", refusal.line) }
}

/// The stable JSON form.
pub(super) fn comparison_json(compared: &Comparison, server: &str) -> Value {
    let changes: Vec<Value> = compared
        .changes
        .iter()
        .map(|change| {
            json!({ "change": if change.added { "add" } else { "remove" }, "rule": change.rule, "place": change.place })
        })
        .collect();
    json!({
        "server": server, "file": compared.live.file, "changes": changes, "diff": compared.text,
        "text_read": compared.live.files.is_ok(), "not_reloaded": compared.live.unread,
        "errors": refusals(&compared.live.parsed),
        "refused": compared.report.faults(false).iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
