//! The lines of an access file as the server splits them: tokens, quotes, includes, and dbbuild's own comments.
//!
//! It does not say what a line means, or whether it is right: a server does. It is for what a server's view of the
//! rules leaves out: which names were quoted, which files are taken in, and what a person accepted.

/// A word of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its text without quotes.
    pub text: String,
    /// Whether it began with a quote: `"all"` is a name then, and no keyword.
    pub quoted: bool,
}

/// A line with its continuations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1; that of the first where it is continued.
    pub number: usize,
    /// Its fields, each a list of words between commas.
    pub fields: Vec<Vec<Token>>,
    /// What follows `#`, where it has a comment.
    pub comment: Option<String>,
}

/// Another file that a line takes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Include {
    /// `include`, `include_if_exists` or `@file`.
    File(String),
    /// `include_dir`: every file in it whose name ends in `.conf`.
    Folder(String),
}

/// Splits a text into its lines.
pub fn lines(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut physical = text.split('\n').enumerate();
    while let Some((at, first)) = physical.next() {
        let mut joined = first.trim_end_matches('\r').to_owned();
        while joined.ends_with('\\') {
            joined.pop();
            match physical.next() {
                Some((_, next)) => joined.push_str(next.trim_end_matches('\r')),
                None => break,
            }
        }
        let (fields, comment) = fields(&joined);
        if !fields.is_empty() || comment.is_some() {
            lines.push(Line { number: at + 1, fields, comment });
        }
    }
    lines
}

impl Line {
    /// The files that this line takes in. `include` and its kin are words of PostgreSQL 16 and later only; an older server
    /// says so itself.
    pub fn includes(&self) -> Vec<Include> {
        if let [word, place] = &self.fields[..]
            && let ([word], [place]) = (&word[..], &place[..])
        {
            match word.text.as_str() {
                "include" | "include_if_exists" => return vec![Include::File(place.text.clone())],
                "include_dir" => return vec![Include::Folder(place.text.clone())],
                _ => {}
            }
        }
        let tokens = self.fields.iter().flatten();
        let files = tokens.filter(|token| !token.quoted).filter_map(|token| token.text.strip_prefix('@'));
        files.filter(|file| !file.is_empty()).map(|file| Include::File(file.to_owned())).collect()
    }
}

fn fields(line: &str) -> (Vec<Vec<Token>>, Option<String>) {
    let mut rest = line;
    let mut fields = Vec::new();
    loop {
        let mut field = Vec::new();
        let mut more = true;
        while more {
            let (token, comma, after) = token(rest);
            rest = after;
            more = comma && token.is_some();
            field.extend(token);
        }
        if field.is_empty() {
            break;
        }
        fields.push(field);
    }
    (fields, rest.trim_start_matches(blank_or_comma).strip_prefix('#').map(str::to_owned))
}

fn blank_or_comma(c: char) -> bool {
    is_blank(c) || c == ','
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

/// One word, whether a comma ended it, and what follows. A comment is left where it stands.
fn token(text: &str) -> (Option<Token>, bool, &str) {
    let text = text.trim_start_matches(blank_or_comma);
    let (mut word, mut quoted, mut seen) = (String::new(), false, false);
    let (mut inside, mut was_quote) = (false, false);
    for (at, c) in text.char_indices() {
        if !inside && is_blank(c) {
            let found = (seen || !word.is_empty()).then_some(Token { text: word, quoted });
            return (found, false, &text[at..]);
        }
        if !inside && c == '#' {
            let found = (seen || !word.is_empty()).then_some(Token { text: word, quoted });
            return (found, false, &text[at..]);
        }
        if !inside && c == ',' {
            return (Some(Token { text: word, quoted }), true, &text[at + 1..]);
        }
        if c != '"' || was_quote {
            word.push(c);
        }
        was_quote = inside && c == '"' && !was_quote;
        if c == '"' {
            inside = !inside;
            seen = true;
            quoted |= word.is_empty();
        }
    }
    ((seen || !word.is_empty()).then_some(Token { text: word, quoted }), false, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &Line) -> Vec<Vec<(&str, bool)>> {
        line.fields.iter().map(|field| field.iter().map(|t| (t.text.as_str(), t.quoted)).collect()).collect()
    }

    #[test]
    fn fields_are_split_as_the_server_does() {
        let text = "# first\nhost  a,b,\"all\"  +g, \"x y\"\t10.0.0.0/8 md5 # why\nlocal all \\\n  all peer\n\nhost a\"b c\"d \"\" x\n";
        let lines = lines(text);
        assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 2, 3, 6]);
        assert_eq!(lines[0].comment.as_deref(), Some(" first"));
        assert_eq!(
            words(&lines[1]),
            [
                vec![("host", false)],
                vec![("a", false), ("b", false), ("all", true)],
                vec![("+g", false), ("x y", true)],
                vec![("10.0.0.0/8", false)],
                vec![("md5", false)]
            ]
        );
        assert_eq!(lines[1].comment.as_deref(), Some(" why"));
        assert_eq!(words(&lines[2]).concat(), [("local", false), ("all", false), ("all", false), ("peer", false)]);
        assert_eq!(words(&lines[3]).concat(), [("host", false), ("ab cd", false), ("", true), ("x", false)]);
    }

    #[test]
    fn includes_are_found() {
        let find = |text: &str| lines(text).iter().flat_map(Line::includes).collect::<Vec<_>>();
        let file = |name: &str| Include::File(name.to_owned());
        assert_eq!(find("include a.conf\ninclude_if_exists \"b c\"\n"), [file("a.conf"), file("b c")]);
        assert_eq!(find("include_dir hba.d # all\n"), [Include::Folder("hba.d".to_owned())]);
        assert_eq!(find("local @dbs,x @users peer\n"), [file("dbs"), file("users")]);
        assert_eq!(find("local \"@dbs\" @ peer\n# include no\n"), []);
    }
}
