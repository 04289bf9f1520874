//! The name of a branch's own database.

use crate::model::checksum::Checksum;

/// PostgreSQL cuts longer names.
const LONGEST: usize = 63;
/// Hexadecimal digits that tell apart what looks alike.
const DIGITS: usize = 8;
/// Bytes of the branch's own name that are worth keeping where both do not fit.
const SLUG: usize = 24;

/// What stands in place of a branch's name while none is checked out. No branch can have this name.
pub const DETACHED: &str = "HEAD~";

/// `shop` and `feature/Price-2` give `shop_feature_price_2_5f8c0a1d`: what a person recognises, and a sum over both whole
/// names, so that no two branches share a database. At most 63 bytes.
pub fn database(base: &str, branch: &str) -> String {
    let sum: String = Checksum::of_text(&format!("{base}\n{branch}")).to_string().chars().take(DIGITS).collect();
    let plain = if branch == DETACHED { "detached" } else { branch };
    let slug: String =
        plain.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    let room = LONGEST - DIGITS - 2;
    let base = cut(base, room - slug.len().min(SLUG));
    let slug = cut(&slug, room - base.len());
    format!("{base}_{slug}_{sum}")
}

/// The first bytes of a text, no character halved.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_person_recognises_database_and_branch() {
        let name = database("shop", "feature/Price-2");
        assert!(name.starts_with("shop_feature_price_2_") && name.len() == "shop_feature_price_2_".len() + 8, "{name}");
        assert!(database("shop", DETACHED).starts_with("shop_detached_"));
    }

    #[test]
    fn branches_that_look_alike_have_databases_of_their_own() {
        let long = "x".repeat(100);
        let branches = ["a/b", "a-b", "a_b", "A_b", "ä", "ö", "detached", DETACHED, &long, &format!("{long}y")];
        let names: BTreeSet<String> = branches.iter().map(|branch| database("shop", branch)).collect();
        assert_eq!(names.len(), branches.len());
        assert_ne!(database("a", "b_c"), database("a_b", "c"));
    }

    proptest! {
        #[test]
        fn names_are_short_enough_and_repeat(base in "\\PC{1,63}", branch in "\\PC{1,300}") {
            let name = database(&base, &branch);
            prop_assert!(name.len() <= LONGEST, "{name}");
            prop_assert_eq!(name, database(&base, &branch));
        }
    }
}
