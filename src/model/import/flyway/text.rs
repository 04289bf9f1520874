//! The text of a script as Flyway reads it: its encoding, its checksum, its placeholders.

use std::collections::{BTreeMap, BTreeSet};

use super::conf::Conf;
use crate::error::{Error, Location, Result};

/// The text of bytes in an encoding that Java names; line ends stay as they are.
pub fn decoded(path: &str, bytes: &[u8], encoding: Option<&str>) -> Result<String> {
    let name = encoding.unwrap_or("UTF-8").to_ascii_uppercase();
    let fault = |message: String| {
        Err(Error::failed(message).at(Location::file(path)).help("convert the file to UTF-8, and convert again"))
    };
    match name.as_str() {
        "UTF-8" | "UTF8" | "US-ASCII" | "ASCII" => {
            crate::model::migration::decode(path, bytes)?;
            Ok(String::from_utf8_lossy(bytes).into_owned())
        }
        "ISO-8859-1" | "ISO8859_1" | "LATIN1" => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
        "WINDOWS-1252" | "CP1252" if bytes.iter().all(|byte| !(0x80..0xa0).contains(byte)) => {
            Ok(bytes.iter().map(|byte| char::from(*byte)).collect())
        }
        _ => fault(format!("is in the encoding `{}`", name.escape_debug())),
    }
}

/// The CRC-32 of `flyway_schema_history`: over the lines without their ends and without BOM, as a signed number.
pub fn checksum(text: &str) -> String {
    let mut sum = crc32fast::Hasher::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.split(['\n', '\r']).for_each(|line| sum.update(line.as_bytes()));
    sum.finalize().cast_signed().to_string()
}

/// The placeholders of a configuration, and those that scripts use.
#[derive(Debug)]
pub struct Placeholders {
    /// Whether they are replaced where a script says nothing.
    pub active: bool,
    prefix: String,
    suffix: String,
    values: BTreeMap<String, String>,
    /// Names as dbbuild has them, with their value where one is known.
    pub used: BTreeMap<String, Option<String>>,
}

/// A placeholder that no value is known for, and what the text has of it.
#[derive(Debug)]
pub struct Unknown {
    /// Its name.
    pub name: String,
    /// Its line.
    pub line: usize,
}

impl Placeholders {
    /// As a configuration says.
    pub fn of(conf: &Conf) -> Result<Placeholders> {
        let values = conf.keys().filter_map(|(key, value, _)| Some((key.strip_prefix("placeholders.")?, value)));
        Ok(Placeholders {
            active: conf.truth("placeholderreplacement", true)?,
            prefix: conf.get("placeholderprefix").unwrap_or("${").to_owned(),
            suffix: conf.get("placeholdersuffix").unwrap_or("}").to_owned(),
            values: values.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            used: BTreeMap::new(),
        })
    }

    fn value(&self, name: &str) -> Option<&str> {
        let other = || self.values.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        self.values.get(name).or_else(other).map(String::as_str)
    }

    /// The text with dbbuild's form of each placeholder, and those that have no value here. `own` gives the values of
    /// Flyway's own placeholders, which are put in at once; one that it does not know is a fault.
    pub fn converted(
        &mut self,
        path: &str,
        text: &str,
        own: impl Fn(&str) -> Option<String>,
    ) -> Result<(String, Vec<Unknown>)> {
        let mut out = String::with_capacity(text.len());
        let mut unknown = Vec::new();
        let mut seen = BTreeSet::new();
        let mut rest = text;
        while let Some(at) = rest.find(&self.prefix) {
            let behind = &rest[at + self.prefix.len()..];
            let end = behind.find(&self.suffix).filter(|end| !behind[..*end].contains('\n'));
            let Some(end) = end else {
                out.push_str(&rest[..at + self.prefix.len()]);
                rest = behind;
                continue;
            };
            let name = &behind[..end];
            out.push_str(&rest[..at]);
            let line = out.matches('\n').count() + 1;
            if let Some(key) = name.strip_prefix("flyway:") {
                let value = own(key).ok_or_else(|| {
                    Error::failed(format!("uses `{name}`, which only Flyway knows"))
                        .at(Location::new(path, line, 0))
                        .help("write its value in its place, or a placeholder of your own, and convert again")
                })?;
                out.push_str(&value);
            } else {
                let ours = plain(name);
                out.push_str(&format!("${{{ours}}}"));
                let value = self.value(name).map(str::to_owned);
                if value.is_none() && seen.insert(name.to_owned()) {
                    unknown.push(Unknown { name: name.to_owned(), line });
                }
                self.used.insert(ours, value);
            }
            rest = &behind[end + self.suffix.len()..];
        }
        out.push_str(rest);
        Ok((out, unknown))
    }

    /// The text with all values in it, of which Flyway takes the checksum of a repeatable script; none where one is not
    /// known.
    pub fn replaced(&self, text: &str) -> Option<String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once(&self.prefix) {
            out.push_str(before);
            let (name, tail) = behind.split_once(&self.suffix)?;
            out.push_str(self.value(name)?);
            rest = tail;
        }
        out.push_str(rest);
        Some(out)
    }

    /// Whether the text holds what dbbuild would take for a placeholder.
    pub fn looks_like(text: &str) -> bool {
        text.contains("${")
    }
}

/// A name that dbbuild takes.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_flyway() {
        // CRC-32 of the lines put together, whatever their ends.
        assert_eq!(checksum("123456789"), 0xcbf4_3926_u32.cast_signed().to_string());
        for text in ["1234\n56789\n", "\u{feff}1234\r\n56789", "1\r2\n\n3456789"] {
            assert_eq!(checksum(text), checksum("123456789"), "{text:?}");
        }
        assert_eq!(checksum(""), "0");
    }

    #[test]
    fn placeholders_become_those_of_dbbuild() {
        let conf = "placeholderPrefix=#[\nplaceholderSuffix=]\nplaceholders.App.user=x\n";
        let mut placeholders = Placeholders::of(&Conf::parse("flyway.conf", conf).unwrap()).unwrap();
        let own = |name: &str| (name == "table").then(|| "t".to_owned());
        let text = "GRANT #[app.user]\nTO #[other] #[flyway:table] #[";
        let (converted, unknown) = placeholders.converted("a.sql", text, own).unwrap();
        assert_eq!(converted, "GRANT ${app_user}\nTO ${other} t #[");
        assert_eq!((unknown[0].name.as_str(), unknown[0].line, unknown.len()), ("other", 2, 1));
        assert_eq!(placeholders.used["app_user"].as_deref(), Some("x"));
        assert_eq!(placeholders.replaced("a #[App.user]").as_deref(), Some("a x"));
        assert_eq!(placeholders.replaced("#[other]"), None);
        let error = placeholders.converted("a.sql", "\n#[flyway:user]", own).unwrap_err();
        assert_eq!(error.location().unwrap().line, 2);
    }

    #[test]
    fn encodings_are_read_or_refused() {
        assert_eq!(decoded("a", b"\xe9", Some("iso-8859-1")).unwrap(), "é");
        assert!(decoded("a", b"\xe9", None).is_err());
        assert!(decoded("a", b"\x80", Some("windows-1252")).is_err());
        assert!(decoded("a", b"x", Some("UTF-16")).is_err());
    }
}
