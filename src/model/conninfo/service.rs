//! The connection service file: groups of parameters under `[name]`.
//! <https://www.postgresql.org/docs/current/libpq-pgservice.html>

use super::Parameters;
use crate::error::{Error, Location, Result};

/// The parameters of one service; `None` where the file has no such group. `path` is how messages name the file.
pub fn lookup(text: &str, service: &str, path: &str) -> Result<Option<Parameters>> {
    let mut found: Option<Parameters> = None;
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            inside = name.strip_suffix(']') == Some(service) && found.is_none();
            if inside {
                found = Some(Parameters::default());
            }
        } else if let (true, Some(parameters)) = (inside, found.as_mut()) {
            let at = || Location::new(path, number + 1, 0);
            let (name, value) =
                line.split_once('=').ok_or_else(|| fault("a line is not of the form name=value").at(at()))?;
            if name == "service" || name.starts_with("ldap:") {
                return Err(fault("neither another service nor LDAP can be named in a service").at(at()));
            }
            parameters.insert(name, value).map_err(|e| e.at(at()))?;
        }
    }
    Ok(found)
}

fn fault(why: &str) -> Error {
    Error::usage("the connection service file is wrong").cause(why)
}
