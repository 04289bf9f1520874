//! `[placeholders]`: a text, a number or a truth value, or a table that names an environment variable.

use std::fmt;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, de};

/// What one placeholder stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placeholder {
    /// This text.
    Value(String),
    /// The value of an environment variable.
    Env {
        /// Its name.
        env: String,
        /// What counts where it is not set.
        default: Option<String>,
        /// What counts in a proof, which reads no environment variable; without it, the default.
        proof: Option<String>,
    },
}

const KEYS: &[&str] = &["env", "default", "proof"];

impl<'de> Deserialize<'de> for Placeholder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Placeholder;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or a table { env = \"VARIABLE\" }")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Placeholder, E> {
                Ok(Placeholder::Value(text.to_owned()))
            }

            fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Placeholder, E> {
                Ok(Placeholder::Value(truth.to_string()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Placeholder, E> {
                Ok(Placeholder::Value(number.to_string()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Placeholder, A::Error> {
                let (mut env, mut default, mut proof) = (None, None, None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "env" => env = Some(map.next_value()?),
                        "default" => default = Some(map.next_value()?),
                        "proof" => proof = Some(map.next_value()?),
                        other => return Err(A::Error::unknown_field(other, KEYS)),
                    }
                }
                let env = env.ok_or_else(|| A::Error::missing_field("env"))?;
                Ok(Placeholder::Env { env, default, proof })
            }
        }
        deserializer.deserialize_any(Any)
    }
}
