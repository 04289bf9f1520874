//! Which file counts for an environment, and which files it takes in.
//!
//! A file and what it takes in travel together: to a throwaway, to the server, and back. So what is taken in lies beside
//! the file or below, named relative to it.

use std::collections::BTreeMap;

use super::lines::{Include, lines};
use crate::error::{Error, Location};

/// How deep files may take in files, as in PostgreSQL.
const DEPTH: usize = 10;

/// An access file with what it takes in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// The file itself, by its path from the repository.
    pub main: String,
    /// Every file with its bytes, by its path from the folder of the file itself, which is among them.
    pub texts: BTreeMap<String, String>,
}

impl Files {
    /// The folder that the paths start from; empty for the top of the repository.
    pub fn folder(&self) -> &str {
        self.main.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The name of the file itself.
    pub fn name(&self) -> &str {
        self.main.rsplit_once('/').map_or(self.main.as_str(), |(_, name)| name)
    }

    /// A path from the folder as a path from the repository.
    pub fn path(&self, relative: &str) -> String {
        if self.folder().is_empty() { relative.to_owned() } else { format!("{}/{relative}", self.folder()) }
    }

    /// The text of the file itself.
    pub fn text(&self) -> &str {
        self.texts.get(self.name()).map_or("", String::as_str)
    }
}

/// `db/pg_hba.conf` and `production`: `db/pg_hba.production.conf`.
pub fn of_environment(path: &str, environment: &str) -> String {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[name..].rfind('.').filter(|dot| *dot > 0) {
        Some(dot) => format!("{}.{environment}{}", &path[..name + dot], &path[name + dot..]),
        None => format!("{path}.{environment}"),
    }
}

/// Reads a file and what it takes in. `read` gives the text of a path from the repository, `list` the names in a folder;
/// what is missing is left to the server, which says so in its own words.
pub fn gather(
    main: &str,
    read: &dyn Fn(&str) -> Result<Option<String>, Error>,
    list: &dyn Fn(&str) -> Result<Vec<String>, Error>,
) -> Result<Option<Files>, Error> {
    let Some(text) = read(main)? else { return Ok(None) };
    let mut files = Files { main: main.to_owned(), texts: BTreeMap::new() };
    let mut faults = Vec::new();
    let name = files.name().to_owned();
    let mut waiting = vec![(name.clone(), 0)];
    files.texts.insert(name, text);
    while let Some((from, depth)) = waiting.pop() {
        let text = files.texts.get(&from).cloned().unwrap_or_default();
        for line in lines(&text) {
            for include in line.includes() {
                let at = || Location::new(files.path(&from), line.number, 0);
                let names = match &include {
                    Include::File(name) => beside(&from, name).map(|name| vec![name]),
                    Include::Folder(name) => match beside(&from, name) {
                        Some(folder) => {
                            let mut names = list(&files.path(&folder))?;
                            names.retain(|name| name.ends_with(".conf") && !name.starts_with('.'));
                            Some(names.into_iter().map(|name| format!("{folder}/{name}")).collect())
                        }
                        None => None,
                    },
                };
                let Some(names) = names else {
                    faults.push(outside(&include).at(at()));
                    continue;
                };
                for name in names {
                    if depth >= DEPTH || files.texts.contains_key(&name) {
                        continue;
                    }
                    if let Some(text) = read(&files.path(&name))? {
                        files.texts.insert(name.clone(), text);
                        waiting.push((name, depth + 1));
                    }
                }
            }
        }
    }
    match Error::all(faults) {
        Some(error) => Err(error),
        None => Ok(Some(files)),
    }
}

/// A path that a file names, from the folder of the first; `None` where it leads out of it.
fn beside(from: &str, name: &str) -> Option<String> {
    if name.starts_with('/') || name.chars().any(char::is_control) {
        return None;
    }
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let parts: Vec<&str> = folder.split('/').chain(name.split('/')).filter(|p| !p.is_empty() && *p != ".").collect();
    (!parts.contains(&"..") && !parts.is_empty()).then(|| parts.join("/"))
}

fn outside(include: &Include) -> Error {
    let (Include::File(name) | Include::Folder(name)) = include;
    Error::failed(format!("`{}` is not beside the file that takes it in", name.escape_debug()))
        .help("what an access file takes in lies in its folder or below, and is named relative to it.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Result<Option<Files>, Error> {
        let files: BTreeMap<&str, &str> = files.iter().copied().collect();
        let read = |path: &str| Ok(files.get(path).map(|text| (*text).to_owned()));
        let list = |folder: &str| {
            let below = |path: &&str| path.strip_prefix(folder).and_then(|p| p.strip_prefix('/')).map(str::to_owned);
            Ok(files.keys().filter_map(below).filter(|name| !name.contains('/')).collect())
        };
        gather("db/pg_hba.conf", &read, &list)
    }

    #[test]
    fn what_is_taken_in_comes_along() {
        let files = tree(&[
            ("db/pg_hba.conf", "include hba/a.conf\ninclude_dir hba/d\nlocal @lists/dbs all peer\ninclude none\n"),
            ("db/hba/a.conf", "include b.conf\n"),
            ("db/hba/b.conf", "include ./b.conf\n"),
            ("db/hba/d/1.conf", ""),
            ("db/hba/d/.2.conf", ""),
            ("db/hba/d/3.txt", ""),
            ("db/lists/dbs", "shop\n"),
            ("db/other.conf", ""),
        ]);
        let files = files.unwrap().unwrap();
        let names: Vec<&str> = files.texts.keys().map(String::as_str).collect();
        assert_eq!(names, ["hba/a.conf", "hba/b.conf", "hba/d/1.conf", "lists/dbs", "pg_hba.conf"]);
        assert_eq!(files.path("hba/a.conf"), "db/hba/a.conf");
        assert!(tree(&[]).unwrap().is_none());
    }

    #[test]
    fn what_leads_outside_is_refused() {
        let error = tree(&[("db/pg_hba.conf", "\ninclude ../x\nlocal @/etc/dbs all peer\n")]).unwrap_err();
        assert!(error.to_string().contains("`../x` is not beside the file that takes it in at db/pg_hba.conf:2"));
        assert!(error.others()[0].to_string().contains("db/pg_hba.conf:3"));
    }

    #[test]
    fn each_environment_may_have_its_own() {
        for (path, expected) in [
            ("db/pg_hba.conf", "db/pg_hba.production.conf"),
            ("hba", "hba.production"),
            ("a.b/hba", "a.b/hba.production"),
            ("a.b/.hba", "a.b/.hba.production"),
        ] {
            assert_eq!(of_environment(path, "production"), expected);
        }
    }
}
