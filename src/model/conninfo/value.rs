//! The small values that connection settings are made of.

use std::collections::BTreeMap;
use std::fmt;

/// A password: neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a password.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The password itself, for the server and for a child's environment only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Environment variables as a value. `Debug` shows the names only: any of them may hold a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environ(BTreeMap<String, String>);

impl Environ {
    /// The value of a variable; an empty one counts as unset, as in libpq.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Sets a variable.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// Sets a variable unless it is there already.
    pub fn set_default(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.entry(name.into()).or_insert_with(|| value.into());
    }

    /// The names of all variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl fmt::Debug for Environ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environ {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Environ(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Makes an enum of a parameter's values with their libpq spelling.
macro_rules! spelled {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every spelling that libpq knows.
            pub const SPELLINGS: &'static [&'static str] = &[$($text),*];

            /// Reads libpq's spelling.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }

            /// libpq's spelling.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

spelled! {
    /// `sslmode`, the weakest first.
    SslMode {
        /// Never TLS.
        Disable = "disable",
        /// Plain text, TLS where the server insists.
        Allow = "allow",
        /// TLS, plain text where the server has none.
        #[default]
        Prefer = "prefer",
        /// TLS; the certificate is verified only if there is a root certificate to do it with.
        Require = "require",
        /// TLS with a certificate from a trusted authority.
        VerifyCa = "verify-ca",
        /// The same, and it names the host.
        VerifyFull = "verify-full",
    }
}

spelled! {
    /// `target_session_attrs`: which of several servers will do.
    TargetSession {
        /// The first that answers.
        #[default]
        Any = "any",
        /// One whose transactions may write.
        ReadWrite = "read-write",
        /// One whose transactions may not.
        ReadOnly = "read-only",
        /// One that is not a replica.
        Primary = "primary",
        /// A replica.
        Standby = "standby",
        /// A replica, or else any.
        PreferStandby = "prefer-standby",
    }
}

spelled! {
    /// `channel_binding`: whether SCRAM is tied to the TLS connection.
    ChannelBinding {
        /// Never.
        Disable = "disable",
        /// Where both sides can.
        #[default]
        Prefer = "prefer",
        /// Always.
        Require = "require",
    }
}
