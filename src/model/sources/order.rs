//! The order in which repeatable files run: by name, and after what `dbbuild:after` names.

use std::collections::{BTreeMap, BTreeSet};

use super::ScriptFile;
use crate::error::{Error, Location};
use crate::model::directive::{After, nearest};
use crate::model::migration::strip_sql;

/// Sorts files, each with its `after` directives, so that every file comes behind those that it names and otherwise the
/// least name first. A missing or circular target is a fault; the files then stay in name order.
pub(super) fn sort(mut files: Vec<ScriptFile>, edges: Vec<Vec<After>>, faults: &mut Vec<Error>) -> Vec<ScriptFile> {
    let mut before: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); files.len()];
    let mut sound = true;
    for (index, after) in edges.iter().enumerate() {
        for edge in after {
            match find(&files, &edge.file) {
                Some(target) => drop(before[index].insert(target)),
                None => {
                    sound = false;
                    faults.push(missing(&files, index, edge));
                }
            }
        }
    }
    for (index, targets) in before.iter().enumerate() {
        files[index].after = targets.iter().map(|target| files[*target].name.clone()).collect();
    }
    if !sound {
        return files;
    }
    match topological(&files, &before) {
        Ok(order) => {
            let mut slots: Vec<Option<ScriptFile>> = files.into_iter().map(Some).collect();
            order.into_iter().filter_map(|index| slots[index].take()).collect()
        }
        Err(cycle) => {
            faults.push(circular(&files, &cycle));
            files
        }
    }
}

/// A file by its name, with or without ending, or by its path.
fn find(files: &[ScriptFile], wanted: &str) -> Option<usize> {
    let by = |same: &dyn Fn(&ScriptFile) -> bool| files.iter().position(same);
    by(&|file| file.name == wanted)
        .or_else(|| by(&|file| file.path == wanted))
        .or_else(|| by(&|file| strip_sql(&file.name) == Some(wanted)))
}

/// The files' indexes in running order, or those of one cycle.
fn topological(files: &[ScriptFile], before: &[BTreeSet<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut waiting: Vec<usize> = before.iter().map(BTreeSet::len).collect();
    let mut followers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, targets) in before.iter().enumerate() {
        targets.iter().for_each(|target| followers.entry(*target).or_default().push(index));
    }
    let mut ready: BTreeSet<(&str, usize)> = BTreeSet::new();
    let free = (0..files.len()).filter(|index| waiting[*index] == 0);
    ready.extend(free.map(|index| (files[index].name.as_str(), index)));
    let mut order = Vec::with_capacity(files.len());
    while let Some((_, index)) = ready.pop_first() {
        order.push(index);
        for follower in followers.get(&index).into_iter().flatten() {
            waiting[*follower] -= 1;
            if waiting[*follower] == 0 {
                ready.insert((files[*follower].name.as_str(), *follower));
            }
        }
    }
    if order.len() == files.len() { Ok(order) } else { Err(cycle(before, &waiting)) }
}

/// Each file that still waits does so for another that waits: following them leads round.
fn cycle(before: &[BTreeSet<usize>], waiting: &[usize]) -> Vec<usize> {
    let mut path = Vec::new();
    let mut next = waiting.iter().position(|count| *count > 0);
    while let Some(index) = next {
        if let Some(start) = path.iter().position(|known| *known == index) {
            return path.split_off(start);
        }
        path.push(index);
        next = before[index].iter().copied().find(|target| waiting[*target] > 0);
    }
    path
}

fn circular(files: &[ScriptFile], cycle: &[usize]) -> Error {
    let mut names: Vec<&str> = cycle.iter().map(|index| files[*index].name.as_str()).collect();
    names.extend(names.first().copied());
    let at = cycle.first().map(|index| files[*index].path.clone()).unwrap_or_default();
    Error::failed(format!("`-- dbbuild:after` goes in a circle: {}", names.join(" after ").escape_debug()))
        .at(Location::file(at))
        .help("take one of these directives out")
}

fn missing(files: &[ScriptFile], index: usize, edge: &After) -> Error {
    let fault = Error::failed(format!("there is no repeatable file `{}`", edge.file.escape_debug())).at(Location::new(
        files[index].path.clone(),
        edge.line,
        0,
    ));
    match nearest(&edge.file, files.iter().map(|file| file.name.as_str())) {
        Some(near) => fault.help(format!("did you mean `-- dbbuild:after {near}`?")),
        None => fault.help("name a file of the same folder"),
    }
}
