//! Turns a person's words into the name of a migration. It does not choose versions: those need a clock.

use crate::error::{Error, Result};

/// Longest name in bytes: with version and suffix a file name stays well below the 255 bytes of most file systems.
const LONGEST: usize = 120;

/// `add email to users` → `add_email_to_users`: lower-case letters and digits of any script are kept, everything else
/// becomes one `_`. Fails where nothing is left.
pub fn slug(text: &str) -> Result<String> {
    let mut slug = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        let next = if c.is_alphanumeric() { c } else { '_' };
        if next == '_' && (slug.is_empty() || slug.ends_with('_')) {
            continue;
        }
        if slug.len() + next.len_utf8() > LONGEST {
            break;
        }
        slug.push(next);
    }
    let slug = slug.trim_end_matches('_');
    if slug.is_empty() {
        return Err(Error::usage(format!("the name {text:?} has neither letters nor digits"))
            .help("say what the migration does: `dbbuild new \"add email to users\"`"));
    }
    Ok(slug.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_joined_by_single_underscores() {
        for (text, expected) in [
            ("add email to users", "add_email_to_users"),
            ("  Add  E-Mail!  ", "add_e_mail"),
            ("prix_été", "prix_été"),
            ("İ", "i"),
            ("../../etc/passwd", "etc_passwd"),
            ("v2\n", "v2"),
        ] {
            assert_eq!(slug(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn nothing_left_is_a_mistake_of_the_command_line() {
        for text in ["", " ", "--", "…"] {
            assert_eq!(slug(text).unwrap_err().status(), crate::error::Status::Usage, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_slug_is_its_own_slug(text in "\\PC*") {
            if let Ok(once) = slug(&text) {
                prop_assert_eq!(slug(&once).unwrap(), once.clone());
                prop_assert!(once.len() <= LONGEST);
                prop_assert!(once.chars().all(|c| c == '_' || c.is_alphanumeric()));
            }
        }
    }
}
