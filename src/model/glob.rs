//! Patterns of names: `*` for any text, `?` for one character, everything else for itself.

/// Whether a whole text matches a pattern.
pub fn matches(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    // Whether the pattern so far matches each beginning of the text.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for c in pattern.chars() {
        let before = reached.clone();
        reached[0] = before[0] && c == '*';
        for at in 1..reached.len() {
            reached[at] = match c {
                '*' => before[at] || reached[at - 1],
                '?' => before[at - 1],
                c => before[at - 1] && text[at - 1] == c,
            };
        }
    }
    reached[text.len()]
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, text, wanted) in [
            ("public.log_*", "public.log_1", true),
            ("public.log_*", "public.log", false),
            ("*.log", "audit.log", true),
            ("public.l?g", "public.log", true),
            ("public.log", "public.logs", false),
            ("*", "", true),
            ("", "x", false),
            ("t*t", "tät", true),
            ("?", "ä", true),
        ] {
            assert_eq!(matches(pattern, text), wanted, "{pattern} {text}");
        }
    }
}
