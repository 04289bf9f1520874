//! psql's meta-commands in a text of SQL: where they are, and which files they name.
//!
//! Nothing is run or changed; what psql would make of them is not known here.

use crate::model::sql::{Fault, statements};

/// A meta-command of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaCommand {
    /// The line it stands on, from 1.
    pub line: usize,
    /// The command with its backslash: `\copy`.
    pub command: String,
    /// The rest of the line.
    pub arguments: String,
}

/// All meta-commands of a text, in order; none where the text does not lex for another reason.
pub fn commands(text: &str) -> Vec<MetaCommand> {
    let mut found = Vec::new();
    if !text.contains('\\') {
        return found;
    }
    let mut rest = text.to_owned();
    loop {
        let fault = statements(&rest).find_map(|statement| statement.err());
        let Some((offset, command)) = fault.and_then(|error| match error.fault {
            Fault::MetaCommand(command) => Some((error.offset, command)),
            _ => None,
        }) else {
            return found;
        };
        let end = rest[offset..].find('\n').map_or(rest.len(), |newline| offset + newline);
        let arguments = rest[offset..end].get(command.len()..).unwrap_or_default().trim().to_owned();
        let line = rest[..offset].matches('\n').count() + 1;
        found.push(MetaCommand { line, command, arguments });
        // What was read is taken away, lines kept: the next one is found behind it.
        let blank: String = rest[..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        rest = format!("{blank}{}", &rest[end..]);
    }
}

impl MetaCommand {
    /// What it needs from outside the text, as a sentence says it; none where the text is enough.
    pub fn needs(&self) -> Option<String> {
        let first = self.arguments.split_whitespace().next().unwrap_or_default().trim_end_matches(';');
        match self.command.as_str() {
            "\\i" | "\\include" => Some(format!("reads the file `{first}`")),
            "\\ir" | "\\include_relative" => Some(format!("reads the file `{first}`, named relative to the script")),
            "\\!" => Some("runs a command of the shell, which dbbuild does not".to_owned()),
            "\\copy" => {
                let lower = self.arguments.to_ascii_lowercase();
                if lower.contains(" program ") {
                    return Some("runs a command of the shell, which dbbuild does not".to_owned());
                }
                let words: Vec<&str> = self.arguments.split_whitespace().collect();
                let at = words
                    .iter()
                    .rposition(|word| word.eq_ignore_ascii_case("from") || word.eq_ignore_ascii_case("to"))?;
                let file = words.get(at + 1)?.trim_end_matches(';');
                let inside =
                    ["stdin", "stdout", "pstdin", "pstdout"].iter().any(|word| file.eq_ignore_ascii_case(word));
                (!inside).then(|| format!("reads or writes the file `{}`", file.trim_matches('\'')))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_outside_quotes_with_their_lines() {
        let text = "\\set x 1\nSELECT '\\d', $$\n\\dt\n$$;\n\\copy t from 'a.csv' csv\nSELECT 1 \\gset\n";
        let found: Vec<_> = commands(text).into_iter().map(|c| (c.line, c.command, c.arguments)).collect();
        let of = |line, command: &str, arguments: &str| (line, command.to_owned(), arguments.to_owned());
        assert_eq!(found, [of(1, "\\set", "x 1"), of(5, "\\copy", "t from 'a.csv' csv"), of(6, "\\gset", "")]);
        assert!(commands("SELECT E'\\\\';").is_empty());
    }

    #[test]
    fn what_they_need_is_named() {
        let needs = |text: &str| commands(text)[0].needs();
        assert_eq!(needs("\\copy t from 'a.csv' csv").unwrap(), "reads or writes the file `a.csv`");
        assert!(needs("\\copy t from program 'cat x'").unwrap().contains("shell"));
        assert!(needs("\\ir ../x.sql").unwrap().contains("../x.sql"));
        assert_eq!(needs("\\copy t from stdin"), None);
        assert_eq!(needs("\\echo hi"), None);
    }
}
