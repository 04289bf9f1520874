//! The way down: which applied migrations go back for a version or for the files of a commit, and what stands in the way.
//!
//! A version decides by the order of versions what goes, so that `downgrade --to V` leaves what `apply --to V` makes, also
//! where a lower version was merged late. They go in the order of application, the last one first.

use super::files::{self, Absent, Made, removals};
use super::{Stuck, Texts, Way, phantoms, take_back};
use crate::model::plan::{Applied, History, Reason};
use crate::model::sources::Sources;
use crate::model::version::Version;

/// What a downgrade comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// Everything of a later version goes; none: everything.
    Version(Option<Version>),
    /// What the files of this commit do not have goes.
    Commit(String),
}

impl Goal {
    /// For messages and digests.
    pub fn describe(&self) -> String {
        match self {
            Goal::Version(None) => "version 0".to_owned(),
            Goal::Version(Some(version)) => format!("version {version}"),
            Goal::Commit(commit) => format!("commit {commit}"),
        }
    }
}

/// The rows that go back, the last applied first. `sources` are the files of the commit.
pub fn leaving<'h>(goal: &Goal, sources: &Sources, history: &'h History) -> Vec<&'h Applied> {
    match goal {
        Goal::Version(None) => history.applied.iter().rev().collect(),
        Goal::Version(Some(kept)) => history.applied.iter().rev().filter(|row| row.version > *kept).collect(),
        Goal::Commit(_) => phantoms(sources, history),
    }
}

/// Finds the way down. `ran` are texts of repeatable files as they ran here, whose objects may stand in the way of a down
/// part; `absent` those of files that the commit does not have.
pub fn way_down(
    goal: &Goal,
    sources: &Sources,
    history: &History,
    texts: &Texts,
    ran: &Absent,
    absent: &Absent,
) -> Way {
    let mut way = Way { remove: removals(sources, absent), ..Way::default() };
    let views = in_the_way(sources, ran, absent);
    for row in leaving(goal, sources, history) {
        match take_back(row, texts.get(&row.version), Reason::Downgrade) {
            Ok(back) => way.back.push(super::TakeBack { views: views.clone(), ..back }),
            Err(why) => way.stuck.push(Stuck { row: row.clone(), reason: Reason::Downgrade, why }),
        }
    }
    way
}

/// What repeatable files made that may stand in the way: by the files that will run again, and by those that ran.
fn in_the_way(sources: &Sources, ran: &Absent, absent: &Absent) -> Vec<(String, Made)> {
    let of = |name: &String, text: &str| files::made_by(text).into_iter().map(|made| (name.clone(), made)).collect();
    let mut all: Vec<(String, Made)> =
        sources.repeatable.iter().flat_map(|file| -> Vec<_> { of(&file.name, &file.script.text) }).collect();
    for (name, text) in ran.iter().filter(|(name, _)| !absent.contains_key(*name)) {
        let made: Vec<(String, Made)> = of(name, text);
        all.extend(made.into_iter().filter(|one| !all.contains(one)).collect::<Vec<_>>());
    }
    all
}

/// The known versions around one that is not known: the nearest below and above.
pub fn nearest<'v>(wanted: &Version, known: impl Iterator<Item = &'v Version>) -> Vec<&'v Version> {
    let mut known: Vec<&Version> = known.collect();
    known.sort();
    known.dedup();
    let at = known.partition_point(|version| *version < wanted);
    known.get(at.saturating_sub(2)..known.len().min(at + 2)).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checksum::Checksum;
    use crate::model::migration::Migration;
    use crate::model::reconcile::{Kept, Obstacle};
    use crate::model::sources::ScriptFile;

    fn version(n: u32) -> Version {
        Version::parse(&n.to_string()).unwrap()
    }

    fn row(n: u32) -> Applied {
        let checksum = Checksum::of_text(&n.to_string());
        Applied { version: version(n), name: "m".to_owned(), checksum, complete: true, has_text: true }
    }

    /// Applied in this order, each with a down part but 9.
    fn applied(order: &[u32]) -> (History, Texts) {
        let history =
            History { installed: true, applied: order.iter().map(|n| row(*n)).collect(), ..History::default() };
        let down = |n: u32| (n != 9).then(|| format!("DROP TABLE t{n};").into());
        let texts = order.iter().map(|n| (version(*n), Kept { up: Some("SELECT 1;".into()), down: down(*n) }));
        (history, texts.collect())
    }

    fn labels(way: &Way) -> Vec<String> {
        way.back.iter().map(super::super::TakeBack::label).collect()
    }

    #[test]
    fn the_order_of_versions_says_what_goes_and_that_of_application_when() {
        // 2 was merged late.
        let (history, texts) = applied(&[1, 3, 2, 4]);
        let down = |goal: Goal| {
            let none = Absent::new();
            labels(&way_down(&goal, &Sources::default(), &history, &texts, &none, &none))
        };
        assert_eq!(down(Goal::Version(None)), ["4_m", "2_m", "3_m", "1_m"]);
        assert_eq!(down(Goal::Version(Some(version(1)))), ["4_m", "2_m", "3_m"]);
        assert_eq!(down(Goal::Version(Some(version(2)))), ["4_m", "3_m"]);
        assert!(down(Goal::Version(Some(version(4)))).is_empty());
    }

    #[test]
    fn what_a_commit_does_not_have_goes() {
        let (history, texts) = applied(&[1, 2, 3, 9]);
        let files = |list: &[u32]| Sources {
            migrations: list.iter().map(|n| Migration::parse(&format!("{n}_m.sql"), b"SELECT 1;").unwrap()).collect(),
            ..Sources::default()
        };
        let none = Absent::new();
        let goal = Goal::Commit("abc".to_owned());
        let way = way_down(&goal, &files(&[1, 3, 7]), &history, &texts, &none, &none);
        assert_eq!(labels(&way), ["2_m"]);
        assert_eq!(way.stuck.len(), 1, "one without a down part stands in the way");
        assert_eq!(way.stuck[0].why, Obstacle::NoDownPart);
    }

    #[test]
    fn what_ran_and_what_will_run_may_stand_in_the_way() {
        let (history, texts) = applied(&[1]);
        let file = |text: &str| ScriptFile::of_text("db/repeatable/a.sql", text);
        let sources = Sources { repeatable: vec![file("CREATE VIEW a AS SELECT 1;")], ..Sources::default() };
        let text = |text: &str| std::sync::Arc::<str>::from(text);
        let ran = Absent::from([
            ("a.sql".to_owned(), text("CREATE VIEW a AS SELECT 2; CREATE FUNCTION f() RETURNS int;")),
            ("b.sql".to_owned(), text("CREATE VIEW b AS SELECT 1;")),
        ]);
        let absent = Absent::from([("b.sql".to_owned(), text("CREATE VIEW b AS SELECT 1;"))]);
        let way = way_down(&Goal::Version(None), &sources, &history, &texts, &ran, &absent);
        let names: Vec<&str> = way.back[0].views.iter().map(|(_, made)| made.name.as_str()).collect();
        assert_eq!(names, ["a", "f"]);
        assert_eq!(way.remove[0].name, "b.sql");
    }

    #[test]
    fn the_nearest_versions_are_named() {
        let known: Vec<Version> = [1, 5, 9, 20, 30].map(version).to_vec();
        let near = |n: u32| nearest(&version(n), known.iter()).iter().map(|v| v.to_string()).collect::<Vec<_>>();
        assert_eq!(near(10), ["5", "9", "20", "30"]);
        assert_eq!(near(0), ["1", "5"]);
        assert_eq!(near(99), ["20", "30"]);
    }
}
