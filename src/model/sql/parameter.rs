//! `:name` in a statement, as psql writes it: a place for a number.

use std::ops::Range;

use super::scan::{PieceKind, Scanner};

/// Where `:name` stands in a statement, outside of quotes and comments, and not as a cast.
pub fn parameter(statement: &str, name: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut colon: Option<usize> = None;
    for piece in Scanner::new(statement).map_while(Result::ok) {
        let token = &statement[piece.range.clone()];
        let after_colon = colon.take();
        match (piece.kind, after_colon) {
            (PieceKind::Token, Some(start)) if start + 1 == piece.range.start && token.eq_ignore_ascii_case(name) => {
                found.push(start..piece.range.end);
            }
            // Behind a colon it is a cast, behind a word or a bracket a slice of an array.
            (PieceKind::Token, None) if token == ":" => {
                let before = statement[..piece.range.start].chars().next_back();
                let fits = before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, ':' | '_' | ']' | '['));
                colon = fits.then_some(piece.range.start);
            }
            _ => {}
        }
    }
    found
}

/// The statement with a number in these places.
pub fn with_parameter(statement: &str, name: &str, number: u64) -> String {
    let mut out = String::with_capacity(statement.len());
    let mut at = 0;
    for range in parameter(statement, name) {
        out.push_str(&statement[at..range.start]);
        out.push_str(&number.to_string());
        at = range.end;
    }
    out.push_str(&statement[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_takes_the_place_of_the_name_alone() {
        let text = "UPDATE t SET a = ':size', b = c::size, d = x[1:size] /* :size */ LIMIT :size OFFSET :SIZE";
        let expected = "UPDATE t SET a = ':size', b = c::size, d = x[1:size] /* :size */ LIMIT 5 OFFSET 5";
        assert_eq!(with_parameter(text, "size", 5), expected);
    }
}
