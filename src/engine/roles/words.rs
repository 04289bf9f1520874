//! Whether names of roles stand in a text: a look that finds too much rather than too little, and lexes nothing.

use std::collections::{BTreeMap, BTreeSet};

/// Names that are looked for.
pub(super) struct Words<'n> {
    /// Names that are words, folded.
    plain: BTreeMap<String, Vec<&'n str>>,
    /// Names with other characters, folded, and as a quoted name has them.
    odd: Vec<(String, &'n str)>,
}

impl<'n> Words<'n> {
    pub fn of(names: impl Iterator<Item = &'n str>) -> Words<'n> {
        let mut words = Words { plain: BTreeMap::new(), odd: Vec::new() };
        for name in names {
            let folded = name.to_ascii_lowercase();
            if name.chars().all(is_part) {
                words.plain.entry(folded).or_default().push(name);
            } else {
                words.odd.push((folded.replace('"', "\"\""), name));
                words.odd.push((folded, name));
            }
        }
        words
    }

    /// Those that stand in a text, in whatever case.
    pub fn find(&self, text: &str) -> BTreeSet<&'n str> {
        let text = text.to_ascii_lowercase();
        let plain = text.split(|c| !is_part(c)).filter_map(|word| self.plain.get(word)).flatten().copied();
        let odd = self.odd.iter().filter(|(name, _)| text.contains(name.as_str())).map(|(_, name)| *name);
        plain.chain(odd).collect()
    }
}

/// What a name without quotes consists of.
fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '$') || !c.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_words() {
        let words = Words::of(["app", "App_Two", "odd role", "say \"hi\"", "größe"].into_iter());
        let found = |text: &str| words.find(text).into_iter().collect::<Vec<_>>();
        assert_eq!(found("GRANT x TO APP, app_two;"), ["App_Two", "app"]);
        assert!(found("application, app1, my_app, oddrole, größen").is_empty());
        assert_eq!(found("TO \"Odd role\", \"say \"\"hi\"\"\", größe"), ["größe", "odd role", "say \"hi\""]);
        assert_eq!(found("format('%I', 'say \"hi\"')"), ["say \"hi\""]);
    }
}
