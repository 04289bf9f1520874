//! Connection settings as libpq understands them: strings, environment variables, service and password files.
//!
//! Pure: the texts of files and the variables are handed in. What may be shown of a connection is its `Display`, which
//! has no password; [`Secret`] shows itself as `***`.
//! <https://www.postgresql.org/docs/current/libpq-connect.html>

mod keyword;
mod merge;
mod parse;
pub mod pgpass;
pub mod service;
mod settings;
#[cfg(test)]
mod tests;
mod value;

pub use keyword::LIBPQ_VARIABLES;
pub use merge::Defaults;
pub use parse::Parameters;
pub use settings::{ConnectionSettings, Host, Server, Tls};
pub use value::{ChannelBinding, Environ, Secret, SslMode, TargetSession};
