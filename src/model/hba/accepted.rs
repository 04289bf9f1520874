//! What a person accepted: `# dbbuild:accept CODE[,CODE…] REASON` in a line of its own before the rule.

use super::danger::Code;
use super::lines::lines;
use crate::error::{Error, Location};

const DIRECTIVE: &str = "dbbuild:";

/// One acceptance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The file.
    pub path: String,
    /// The line of the comment.
    pub line: usize,
    /// The line of the rule that it is for; 0 where none follows.
    pub rule: usize,
    /// What is accepted.
    pub codes: Vec<Code>,
    /// Why.
    pub reason: String,
}

/// Reads the acceptances of a file; a comment of dbbuild's that cannot be understood is an error.
pub fn accepted(path: &str, text: &str) -> (Vec<Accepted>, Vec<Error>) {
    let (mut found, mut faults) = (Vec::<Accepted>::new(), Vec::new());
    let mut waiting = 0;
    for line in lines(text) {
        if !line.fields.is_empty() {
            found[waiting..].iter_mut().for_each(|one| one.rule = line.number);
            waiting = found.len();
            continue;
        }
        let Some(words) = line.comment.as_deref().map(str::trim_start).and_then(|c| c.strip_prefix(DIRECTIVE)) else {
            continue;
        };
        let at = Location::new(path, line.number, 0);
        match accept(words) {
            Ok((codes, reason)) => {
                found.push(Accepted { path: path.to_owned(), line: line.number, rule: 0, codes, reason });
            }
            Err(fault) => faults.push(fault.at(at)),
        }
    }
    (found, faults)
}

fn accept(words: &str) -> Result<(Vec<Code>, String), Error> {
    let known = Code::ALL.map(Code::as_str).join(", ");
    let (key, rest) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
    if key != "accept" {
        return Err(Error::failed(format!("unknown directive `dbbuild:{}`", key.escape_debug()))
            .help("an access file knows `# dbbuild:accept CODE REASON`, in a line of its own before the rule."));
    }
    let (codes, reason) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
    if codes.is_empty() || reason.trim().is_empty() {
        return Err(Error::failed("`dbbuild:accept` wants what is accepted, and why")
            .help(format!("write `# dbbuild:accept CODE REASON`; codes are: {known}.")));
    }
    let mut read = Vec::new();
    for code in codes.split(',') {
        let Some(code) = Code::parse(code) else {
            return Err(Error::failed(format!("`dbbuild:accept` does not know `{}`", code.escape_debug()))
                .help(format!("codes are: {known}.")));
        };
        read.push(code);
    }
    Ok((read, reason.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acceptances_belong_to_the_next_rule() {
        let text = "# about\n# dbbuild:accept trust,any-address the test network\n\n# more\nhost all all all trust\n\
                    # dbbuild:accept md5 old client\n";
        let (found, faults) = accepted("a", text);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(found[0].codes, [Code::Trust, Code::AnyAddress]);
        assert_eq!((found[0].line, found[0].rule, found[0].reason.as_str()), (2, 5, "the test network"));
        assert_eq!((found[1].line, found[1].rule), (6, 0));
    }

    #[test]
    fn others_are_faults() {
        for (text, says) in [
            ("# dbbuild:acept trust x\n", "unknown directive `dbbuild:acept`"),
            ("#dbbuild:accept trust\n", "wants what is accepted, and why"),
            ("# dbbuild:accept\n", "wants what is accepted, and why"),
            ("# dbbuild:accept trsut because\n", "does not know `trsut`"),
        ] {
            let (_, faults) = accepted("a", text);
            assert!(faults[0].to_string().contains(says) && faults[0].to_string().contains("a:1"), "{}", faults[0]);
        }
        assert!(accepted("a", "# see dbbuild:accept\n# dbbuild accepts\n").1.is_empty());
    }
}
