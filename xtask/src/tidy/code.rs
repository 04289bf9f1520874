//! Rust text with comments and literals blanked out, so that a rule about code does not trip over prose. It is a scanner
//! of a few token kinds, not a parser.

/// The same text with the inside of comments, strings and character literals replaced by spaces. Lines stay where they
/// are.
pub fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at).unwrap_or(at);
        if end > at {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends, if one begins there.
fn literal_end(chars: &[char], at: usize) -> Option<usize> {
    let next = |n: usize| chars.get(at + n).copied();
    match chars[at] {
        '/' if next(1) == Some('/') => Some(find(chars, at, |c| c == '\n')),
        '/' if next(1) == Some('*') => Some(block_comment_end(chars, at)),
        '"' => Some(string_end(chars, at + 1)),
        'r' if !continues_word(chars, at) => raw_string_end(chars, at + 1),
        'b' if !continues_word(chars, at) && next(1) == Some('r') => raw_string_end(chars, at + 2),
        // `'a'` and `'\n'` are literals, `'a` is a lifetime.
        '\'' if next(1) == Some('\\') => Some(find(chars, at + 3, |c| c == '\'') + 1),
        '\'' if next(2) == Some('\'') => Some(at + 3),
        _ => None,
    }
    .map(|end| end.min(chars.len()))
}

fn continues_word(chars: &[char], at: usize) -> bool {
    // The `b` of `br"…"` does not make the `r` part of a longer word, but there `b` has taken the literal already.
    at > 0 && is_word(chars[at - 1])
}

/// Whether a character can stand in an identifier.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn find(chars: &[char], from: usize, wanted: impl Fn(char) -> bool) -> usize {
    (from..chars.len()).find(|&i| wanted(chars[i])).unwrap_or(chars.len())
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let (mut depth, mut i) = (0_usize, at);
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                i += 1;
                continue;
            }
        }
        i += 2;
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

fn string_end(chars: &[char], from: usize) -> usize {
    let mut i = from;
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

fn raw_string_end(chars: &[char], from: usize) -> Option<usize> {
    let hashes = find(chars, from, |c| c != '#') - from;
    if chars.get(from + hashes) != Some(&'"') {
        return None;
    }
    let mut i = from + hashes + 1;
    while i < chars.len() {
        if chars[i] == '"' && chars[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
            return Some(i + 1 + hashes);
        }
        i += 1;
    }
    Some(chars.len())
}

/// The code before an inline `#[cfg(test)] mod … {`, which by custom ends a file.
pub fn without_tests(code: &str) -> &str {
    let mut from = 0;
    while let Some(found) = code[from..].find("#[cfg(test)]") {
        let at = from + found;
        let item = code[at + "#[cfg(test)]".len()..].trim_start();
        let head = item.split(['{', ';']).next().unwrap_or_default();
        if head.split_whitespace().any(|word| word == "mod") && item[head.len()..].starts_with('{') {
            return &code[..at];
        }
        from = at + 1;
    }
    code
}

/// Each place where `word` stands as a whole word, as line numbers.
pub fn lines_with(code: &str, word: &str) -> Vec<usize> {
    let starts_inside = word.starts_with(is_word);
    let ends_inside = word.ends_with(is_word);
    let mut lines = Vec::new();
    for (at, _) in code.match_indices(word) {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        if (starts_inside && before.is_some_and(is_word)) || (ends_inside && after.is_some_and(is_word)) {
            continue;
        }
        lines.push(line_of(code, at));
    }
    lines
}

/// The line, from 1, in which a byte stands.
pub fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// What stands directly below a path prefix such as `crate::`: `crate::a::b` and `crate::{a::c, d}` give a, a and d.
pub fn children<'a>(code: &'a str, prefix: &str) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        if code[..at].chars().next_back().is_some_and(|c| is_word(c) || c == ':') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(
                group_heads(group)
                    .into_iter()
                    .map(|(offset, head)| (line_of(code, at + prefix.len() + 1 + offset), head)),
            ),
            None => found.push((line_of(code, at), leading_word(rest))),
        }
    }
    found
}

fn leading_word(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

/// The first segment of each entry of a `use` group, with its offset; `group` begins after the opening brace.
fn group_heads(group: &str) -> Vec<(usize, &str)> {
    let mut heads = Vec::new();
    let (mut depth, mut fresh) = (1_usize, true);
    for (offset, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' if depth == 1 => fresh = true,
            c if fresh && is_word(c) => {
                heads.push((offset, leading_word(&group[offset..])));
                fresh = false;
            }
            _ => {}
        }
    }
    heads
}
