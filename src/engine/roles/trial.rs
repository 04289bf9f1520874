//! Whether a role has a password, found out by a login where what the server keeps cannot be read.
//!
//! The password is tried only where the server asks for SCRAM, which does not hand it over; a server that wants it in
//! clear, or lets the role in without, tells nothing here.

use crate::engine::session::{ConnectOptions, ConnectionSettings, login_once};
use crate::model::conninfo::{ChannelBinding, Secret};

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// It has this password.
    Fits,
    /// It has another one, or none.
    Wrong,
    /// It cannot be told from here, for this reason.
    Untold(String),
}

/// Tries to log in.
pub async fn try_out(settings: &ConnectionSettings, role: &str, password: &Secret) -> Trial {
    let options = ConnectOptions { application_name: "dbbuild roles".to_owned(), ..ConnectOptions::default() };
    // Who insists on a tie to TLS and has no password is told so after it is clear that the server asks for SCRAM, and
    // is turned away before in every other case.
    let asked = settings.for_trial(role, None, ChannelBinding::Require);
    match login_once(&asked, &options).await {
        Ok(()) => return Trial::Untold("the server asks for no password".to_owned()),
        Err(e) if e.causes().iter().any(|cause| cause.contains("wants a password")) => {}
        Err(e) if e.code().is_none() && e.causes().iter().any(|cause| cause.contains("channel binding")) => {
            return Trial::Untold("the server does not ask for it by SCRAM".to_owned());
        }
        Err(e) => return Trial::Untold(e.causes().first().cloned().unwrap_or_else(|| e.message().to_owned())),
    }
    let tried = settings.for_trial(role, Some(password.clone()), settings.channel_binding());
    match login_once(&tried, &options).await {
        Ok(()) => Trial::Fits,
        Err(e) => match e.code() {
            Some("28P01") => Trial::Wrong,
            // Said after the password was found right: it may not log in, not enter this database, or not once more.
            Some("28000" | "42501" | "53300") => Trial::Fits,
            _ => Trial::Untold(e.causes().first().cloned().unwrap_or_else(|| e.message().to_owned())),
        },
    }
}
