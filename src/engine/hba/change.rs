//! Files of a server that are replaced, and put back where that is not proved.

use jiff::Timestamp;

use super::place::{Place, UNPROVED};
use crate::error::{Error, Result};
use crate::model::hba::Files;

/// A file that was replaced, or made.
pub(super) struct Written {
    pub file: String,
    /// What was written there.
    text: String,
    /// Where the old one is; none where there was no such file.
    copy: Option<String>,
}

/// A change that is not proved. Dropping it puts the old files back, as long as the server has not followed the new ones:
/// after that the files and what is in force must not part.
pub(super) struct Change<'a> {
    place: &'a Place,
    done: Vec<Written>,
    /// Nothing is put back when this is dropped.
    left: bool,
}

impl Change<'_> {
    /// Nothing yet.
    pub fn begin(place: &Place) -> Change<'_> {
        Change { place, done: Vec::new(), left: false }
    }

    /// What was written so far.
    pub fn done(&self) -> &[Written] {
        &self.done
    }

    /// The server is about to follow the new files: whoever breaks it off from here on leaves the copies, which the next run
    /// names.
    pub fn leave(&mut self) {
        self.left = true;
    }

    /// Writes all files, the one that the server begins with last.
    ///
    /// # Errors
    /// One cannot be written; the old ones are back.
    pub fn write(&mut self, files: &Files) -> Result<()> {
        let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%S.%3fZ").to_string();
        let main = files.name();
        let mut names: Vec<&String> = files.texts.keys().filter(|name| *name != main).collect();
        names.extend(files.texts.keys().filter(|name| *name == main));
        for name in names {
            let text = files.texts.get(name).map_or("", String::as_str);
            let file = if name == main { self.place.file.clone() } else { format!("{}/{name}", self.place.folder()) };
            self.replace(&file, text, &stamp).map_err(|e| {
                let back = self.undo();
                let error = Error::failed(format!("cannot write {file} as {}", self.place.hand.describe())).cause(e);
                match back {
                    Ok(()) => error.help(self.place.hand.advice()).help("nothing was changed."),
                    Err(why) => error.cause(why),
                }
            })?;
        }
        Ok(())
    }

    fn replace(&mut self, file: &str, text: &str, stamp: &str) -> std::io::Result<()> {
        let hand = &self.place.hand;
        let file = hand.resolve(file)?;
        let copy = match hand.read(&file)? {
            Some(old) if old == text.as_bytes() => return Ok(()),
            Some(_) => {
                let name = file.strip_prefix(&format!("{}/", self.place.real_folder())).unwrap_or(&file);
                let name = name.trim_start_matches('/').replace('/', "-");
                let copy = format!("{}/{name}.dbbuild-{stamp}{UNPROVED}", self.place.real_folder());
                hand.keep(&file, &copy)?;
                Some(copy)
            }
            None => None,
        };
        self.done.push(Written { file: file.clone(), text: text.to_owned(), copy });
        hand.replace(&file, text.as_bytes(), &self.place.file)
    }

    /// Puts the old files back.
    ///
    /// # Errors
    /// One cannot be put back, or is another by now.
    pub fn undo(&mut self) -> Result<()> {
        while let Some(one) = self.done.pop() {
            self.take_back(&one).map_err(|e| {
                let error = Error::failed(format!("cannot put {} back", one.file)).cause(e);
                match &one.copy {
                    Some(copy) => error.help(format!("do it by hand: {copy} is the old file.")),
                    None => error.help("remove it by hand: there was no such file."),
                }
            })?;
        }
        Ok(())
    }

    fn take_back(&self, one: &Written) -> std::io::Result<()> {
        let hand = &self.place.hand;
        let now = hand.read(&one.file)?;
        let ours = now.as_deref() == Some(one.text.as_bytes());
        match &one.copy {
            // As it was, with its times: nothing has happened.
            Some(copy) if ours => hand.rename(copy, &one.file),
            // It was never replaced. Renaming one name of a file to another name of it does nothing.
            Some(copy) if now == hand.read(copy)? => hand.remove(copy),
            None if ours => hand.remove(&one.file),
            None if now.is_none() => Ok(()),
            _ => Err(std::io::Error::other("somebody has changed it meanwhile")),
        }
    }

    /// The change is proved: its copies become copies like others. Gives their names.
    pub fn keep(mut self) -> Vec<String> {
        self.left = true;
        let mut copies = Vec::new();
        for copy in std::mem::take(&mut self.done).into_iter().filter_map(|one| one.copy) {
            let kept = copy.trim_end_matches(UNPROVED).to_owned();
            let named = self.place.hand.rename(&copy, &kept).is_ok();
            copies.push(if named { kept } else { copy });
        }
        copies
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        if !self.left {
            // What cannot be put back is named by the next run.
            let _ = self.undo();
        }
    }
}
