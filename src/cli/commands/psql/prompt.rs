//! The prompt of psql: which environment this is, red where it is protected; and a start file in which it holds.

use crate::engine::server::programs::Installation;
use std::path::PathBuf;

/// What the prompt tells.
#[derive(Debug)]
pub(super) struct Prompt {
    /// The environment that was selected.
    pub environment: String,
    /// The environment that the database is marked as, where that is another one.
    pub marked: Option<String>,
    /// The role whose rights count, where it is not the one that logs in.
    pub role: Option<String>,
    /// Whether it, or the mark, is protected.
    pub protected: bool,
    /// Whether colours may be used.
    pub coloured: bool,
}

/// psql's escapes around what takes no room on the terminal.
const RED: &str = "%[%033[1;31m%]";
const PLAIN: &str = "%[%033[0m%]";

impl Prompt {
    /// The value of PROMPT1 and PROMPT2.
    pub fn text(&self) -> String {
        let mut name = self.environment.clone();
        if let Some(marked) = &self.marked {
            name.push_str(&format!(" (marked {})", plain(marked)));
        }
        if self.protected && self.coloured {
            name = format!("{RED}{name}{PLAIN}");
        }
        let role = self.role.as_ref().map_or_else(String::new, |role| format!(" as {}", plain(role)));
        format!("{name}{role}:%/%R%x%# ")
    }

    /// A start file that reads the user's own, and sets the prompt after it.
    pub fn start_file(&self, own: Option<&PathBuf>) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
        let own = own.map_or_else(String::new, |path| format!("\\i {}\n", quoted(&path.display().to_string())));
        let prompt = quoted(&self.text());
        format!("{own}\\set PROMPT1 {prompt}\n\\set PROMPT2 {prompt}\n")
    }
}

/// In a prompt `%` escapes.
fn plain(text: &str) -> String {
    let shown: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    shown.replace('%', "%%")
}

/// The start file that psql would read: `$PSQLRC` or `~/.psqlrc`, the one for its very version first.
pub(super) fn own_start_file(psql: Option<&Installation>) -> Option<PathBuf> {
    let home = std::env::var("HOME").ok();
    let base = match std::env::var("PSQLRC") {
        Ok(path) if !path.is_empty() => match (path.strip_prefix("~/"), &home) {
            (Some(rest), Some(home)) => format!("{home}/{rest}"),
            _ => path,
        },
        _ => format!("{}/.psqlrc", home?),
    };
    let versions = psql.map(|found| [found.version.text.clone(), found.version.major.to_string()]);
    let named = versions.into_iter().flatten().map(|version| PathBuf::from(format!("{base}-{version}")));
    named.chain([PathBuf::from(&base)]).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_stands_in_the_prompt() {
        let mut prompt = Prompt {
            environment: "development".to_owned(),
            marked: None,
            role: None,
            protected: false,
            coloured: true,
        };
        assert_eq!(prompt.text(), "development:%/%R%x%# ");
        prompt.protected = true;
        assert_eq!(prompt.text(), "%[%033[1;31m%]development%[%033[0m%]:%/%R%x%# ");
        prompt.marked = Some("production".to_owned());
        prompt.role = Some("a%b".to_owned());
        prompt.coloured = false;
        assert_eq!(prompt.text(), "development (marked production) as a%%b:%/%R%x%# ");
        let file = prompt.start_file(Some(&PathBuf::from("/home/o'neil/.psqlrc")));
        assert!(file.starts_with("\\i '/home/o''neil/.psqlrc'\n\\set PROMPT1 'development"), "{file}");
    }
}
