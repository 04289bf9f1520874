//! The access file of a server on this machine, and what broken-off runs left beside it.

use std::path::Path;

use super::hand::{Hand, Stat};
use super::live::Live;
use crate::engine::session::Session;
use crate::engine::target::Target;
use crate::error::{Error, OrFailed, Result};
use crate::model::sql::literal;

/// Ends the name of a copy while the new file is not proved.
pub(super) const UNPROVED: &str = ".unproved";

/// The server's file on this machine.
pub(super) struct Place {
    /// As the server names it: what it takes in is named from there.
    pub file: String,
    /// Behind links.
    real: String,
    /// Who reads and writes there.
    pub hand: Hand,
}

impl Place {
    /// Finds it, and that it is this machine's.
    ///
    /// # Errors
    /// The role may not look at it, or the server runs elsewhere.
    pub async fn find(session: &Session, target: &Target, live: &Live, run_as: &[String]) -> Result<Place> {
        let elsewhere = |why: String| {
            Error::failed(format!("cannot change the access file of {} from here", target.describe()))
                .cause(why)
                .help("run `dbbuild hba apply` on the server's machine, or ask its provider; nothing was changed.")
        };
        let Some(file) = live.file.clone() else {
            return Err(elsewhere("the role may not see where it lies".to_owned())
                .help("GRANT pg_read_all_settings TO ROLE; a superuser may do all of it."));
        };
        let sql = format!(
            "SELECT s.size, floor(extract(epoch FROM s.modification))::bigint, floor(extract(epoch FROM s.change))::bigint \
             FROM pg_catalog.pg_stat_file({}) s",
            literal(&file)
        );
        let rows = session.query_rows(&sql).await.map_err(|error| {
            elsewhere("the role may not look at the file: whether it is this machine's cannot be told".to_owned())
                .cause(error.causes().first().cloned().unwrap_or_default())
                .help("use a superuser, or GRANT EXECUTE ON FUNCTION pg_catalog.pg_stat_file(text) TO ROLE.")
        })?;
        let number = |i: usize| rows.first()?.get(i)?.as_ref()?.parse::<i64>().ok();
        let (Some(size), Some(modified), Some(changed)) = (number(0), number(1), number(2)) else {
            return Err(elsewhere("the server does not say what its file is like".to_owned()));
        };
        let hand = Hand::of(Path::new(&file), run_as);
        match hand.stat(&file) {
            Ok(Some(here)) if here == (Stat { size, modified, changed }) => {
                let real = hand.resolve(&file).or_failed(|| format!("cannot find out where {file} leads"))?;
                Ok(Place { file, real, hand })
            }
            Ok(Some(_)) => Err(elsewhere(format!("{file} on this machine is another file: the server runs elsewhere"))),
            Ok(None) => Err(elsewhere(format!("there is no {file} on this machine: the server runs elsewhere"))),
            Err(e) => {
                Err(elsewhere(format!("{file} cannot be looked at by {}: {e}", hand.describe())).help(hand.advice()))
            }
        }
    }

    /// The folder that what it takes in is named from.
    pub fn folder(&self) -> &str {
        self.file.rsplit_once('/').map_or("/", |(folder, _)| folder)
    }

    /// Where copies are kept.
    pub fn real_folder(&self) -> &str {
        self.real.rsplit_once('/').map_or("/", |(folder, _)| folder)
    }

    /// Copies that a run left which did not come to its end.
    fn unproved(&self) -> Vec<String> {
        let names = self.hand.list(self.real_folder()).unwrap_or_default();
        let ours = |name: &String| name.contains(".dbbuild-") && name.ends_with(UNPROVED);
        let mut found: Vec<String> =
            names.into_iter().filter(ours).map(|name| format!("{}/{name}", self.real_folder())).collect();
        found.sort();
        found
    }

    /// What an earlier run left, in words.
    pub fn left_overs(&self) -> Vec<String> {
        let say = |copy: String| {
            format!(
                "an earlier `hba apply` did not come to its end: {copy} is the file as it was before; the one in force may be either"
            )
        };
        self.unproved().into_iter().map(say).collect()
    }

    /// After a whole run they are copies like others.
    pub fn settle_left_overs(&self) {
        for copy in self.unproved() {
            // One that stays is named again.
            let _ = self.hand.rename(&copy, copy.trim_end_matches(UNPROVED));
        }
    }
}
