//! What failed in many databases: each error whole, once, with the databases that met it; what was broken off, and what
//! was not begun.

use crate::cli::output::count;
use crate::engine::fleet::{Fate, Fleet, Member, names};
use crate::error::Error;
use std::collections::BTreeMap;

/// The error of a run; none where everything was done.
pub fn error<T>(fleet: &Fleet, verb: &str, fates: &[Fate<T>], interrupted: bool) -> Option<Error> {
    let mut groups: BTreeMap<String, (usize, Error, Vec<&str>)> = BTreeMap::new();
    let (mut broken_off, mut not_begun) = (Vec::new(), Vec::new());
    for (n, (member, fate)) in fleet.members.iter().zip(fates).enumerate() {
        match fate {
            Fate::Failed(error) => {
                let group = groups.entry(key(member, error)).or_insert_with(|| (n, error.clone(), Vec::new()));
                group.2.push(&member.name);
            }
            Fate::BrokenOff => broken_off.push(member.name.as_str()),
            Fate::NotBegun => not_begun.push(member.name.as_str()),
            Fate::Done(_) => {}
        }
    }
    let failed: usize = groups.values().map(|(_, _, names)| names.len()).sum();
    if failed == 0 && broken_off.is_empty() && not_begun.is_empty() {
        return None;
    }
    let of = format!("{} of {}", count(fleet.members.len(), "database"), fleet.environment);
    let mut whole = match (failed, interrupted) {
        (0, _) => Error::failed(format!("{verb}: interrupted before all of {of} were done")),
        (_, true) => Error::failed(format!("{verb}: {failed} of {of} failed, and it was interrupted")),
        (_, false) => Error::failed(format!("{verb}: {failed} of {of} failed")),
    };
    for (what, list) in [("broken off", &broken_off), ("not begun", &not_begun)] {
        if !list.is_empty() {
            whole = whole.cause(format!("{what}: {}", names(list.iter().copied())));
        }
    }
    if !broken_off.is_empty() {
        whole = whole.help("the server takes back what was under way there once it notices, within some seconds.");
    }
    if broken_off.len() + not_begun.len() > 0 {
        whole = whole.help("run the same command again: what is done costs a look, and it goes on with the rest.");
    }
    if failed > 0 {
        whole = whole.help(format!("a command for one of them takes `--env {} --target NAME`.", fleet.environment));
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|(n, ..)| *n);
    Error::all(std::iter::once(whole).chain(groups.into_iter().map(|(_, error, met)| of_group(error, &met))))
}

/// One error, said once. The others that it joins come with it.
fn of_group(error: Error, met: &[&str]) -> Error {
    match met {
        [name] => error.about(format!("`{name}`")),
        [first, ..] => {
            let about = format!("`{first}`, and the same in {} more", met.len() - 1);
            error.about(about).detail(format!("in {}", names(met.iter().copied())))
        }
        [] => error,
    }
}

/// What is the same where errors differ in nothing but the database's name and the server's process numbers.
pub fn key(member: &Member, error: &Error) -> String {
    let (description, database) = (member.target.describe(), member.target.settings.database());
    let option = member.options();
    let plain = |text: &str| {
        let names = [description.clone(), format!("\"{database}\""), format!("`{database}`"), option.clone()];
        let text = names.iter().fold(text.to_owned(), |text, name| text.replace(name, "…"));
        let mut words = Vec::new();
        for word in text.split(' ') {
            let number = words.last() == Some(&"process".to_owned()) && word.starts_with(|c: char| c.is_ascii_digit());
            words.push(if number { "…".to_owned() } else { word.to_owned() });
        }
        words.join(" ")
    };
    let error = error.clone().map_texts(&plain);
    std::iter::once(&error).chain(error.others()).map(|error| format!("{error:?}")).collect()
}
