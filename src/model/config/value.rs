//! Values with a syntax of their own: durations in PostgreSQL's units, server settings, the major version.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, de};

/// PostgreSQL's units of time with their length in microseconds, the longest first.
const UNITS: [(&str, u64); 6] =
    [("d", 86_400_000_000), ("h", 3_600_000_000), ("min", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

/// PostgreSQL keeps time settings in a 32-bit number of milliseconds.
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

/// Reads `5s`, `1min`, `500ms`, `1.5h`, `0`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(end);
    let bad =
        || format!("`{text}` is not a duration; write a number and a unit, as in \"500ms\", \"5s\", \"1min\", \"2h\"");
    let value: f64 = number.parse().map_err(|_| bad())?;
    let unit = unit.trim();
    if unit.is_empty() {
        return if value == 0.0 {
            Ok(Duration::ZERO)
        } else {
            Err(format!("the duration `{text}` has no unit; write \"{number}ms\", \"{number}s\" or \"{number}min\""))
        };
    }
    let Some((_, length)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("`{unit}` is not a unit of time; there are us, ms, s, min, h and d"));
    };
    let seconds = value * (*length as f64) / 1e6;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|d| *d <= LONGEST)
        .ok_or_else(|| format!("the duration `{text}` is longer than PostgreSQL allows ({})", "2147483647ms"))
}

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    struct Text;
    impl Visitor<'_> for Text {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a duration in quotes, such as \"5s\"")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
            parse_duration(text).map_err(E::custom)
        }
    }
    deserializer.deserialize_str(Text)
}

/// A list of texts, or one text alone.
pub(super) fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Texts;
    impl<'de> Visitor<'de> for Texts {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string or a list of strings")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(vec![text.to_owned()])
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = list.next_element()? {
                texts.push(text);
            }
            Ok(texts)
        }
    }
    deserializer.deserialize_any(Texts)
}

pub(super) fn major_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let version = i64::deserialize(deserializer)?;
    match u32::try_from(version) {
        Ok(major @ 15..=99) => Ok(Some(major)),
        Ok(major @ 10..15) => {
            Err(D::Error::custom(format!("PostgreSQL {major} is too old: dbbuild is for 15 and newer")))
        }
        _ => Err(D::Error::custom(format!("`{version}` is not a major version of PostgreSQL, such as 15"))),
    }
}

pub(super) fn settings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct Settings;
    impl<'de> Visitor<'de> for Settings {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table of server settings")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut settings = BTreeMap::new();
            while let Some((name, value)) = map.next_entry::<String, Setting>()? {
                if !is_setting_name(&name) {
                    return Err(A::Error::custom(format!("`{name}` is not the name of a server setting")));
                }
                settings.insert(name, value.0);
            }
            Ok(settings)
        }
    }
    deserializer.deserialize_map(Settings)
}

/// Names end in files and command lines of the server, where anything else would be another line or option.
pub(crate) fn is_setting_name(name: &str) -> bool {
    name.split('.').all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

struct Setting(String);

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Setting;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a number or a boolean")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Setting, E> {
                if text.chars().any(char::is_control) {
                    return Err(E::custom("a server setting cannot hold control characters"));
                }
                Ok(Setting(text.to_owned()))
            }

            fn visit_bool<E: de::Error>(self, on: bool) -> Result<Setting, E> {
                Ok(Setting(if on { "on" } else { "off" }.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Setting, E> {
                Ok(Setting(number.to_string()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Setting, E> {
                Ok(Setting(number.to_string()))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Setting, E> {
                Ok(Setting(number.to_string()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
