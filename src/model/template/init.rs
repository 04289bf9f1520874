//! The first files of a repository, as `dbbuild init` writes them. Together they build and verify: one table, one view, a
//! row of init data, a row of test data, a check. It never decides whether a file may be written.

use crate::model::config::{FILE_NAME, Paths};

/// What the files are made for.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// Name of the database.
    pub database: String,
    /// Major version of PostgreSQL.
    pub postgres_version: u32,
    /// Docker image, where an engine answers; else the key is written as a comment.
    pub image: Option<String>,
    /// Version of the example migration: fourteen digits of UTC time.
    pub first_version: String,
    /// Where the files go.
    pub paths: Paths,
}

/// A file to write if it does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitFile {
    /// Path from the top of the repository, with `/`.
    pub path: String,
    /// The whole text, with LF endings.
    pub text: String,
    /// Belongs to the example: of use only where there is no migration yet.
    pub example: bool,
}

/// Lines for `.gitattributes`: the same bytes on every machine, so that checksums and the baseline agree.
pub fn git_attributes(paths: &Paths) -> String {
    let mut patterns = vec![FILE_NAME.to_owned()];
    let above = |path: &str| path.rsplit_once('/').map(|(above, _)| above.to_owned());
    let common =
        above(&paths.baseline).filter(|common| paths.folders().iter().all(|(_, f)| above(f).as_ref() == Some(common)));
    match common {
        Some(common) => patterns.push(format!("{common}/**/*.sql")),
        None => {
            patterns.extend(paths.folders().map(|(_, folder)| format!("{folder}/**/*.sql")));
            patterns.push(paths.baseline.clone());
        }
    }
    patterns.extend([paths.roles.clone(), paths.hba.clone(), paths.access.clone()]);
    let mut text = "# dbbuild: what the database is built from has the same bytes on every machine.\n".to_owned();
    for pattern in patterns {
        text.push_str(&format!("{} text eol=lf\n", quoted(&pattern)));
    }
    text.push_str(&driver_attributes(&paths.baseline, &DRIVERS));
    text
}

/// What `.gitattributes` says of the baseline, once `dbbuild hooks install` told git how.
pub const DRIVERS: [(&str, &str); 2] = [("merge", "dbbuild"), ("diff", "dbbuild")];

/// Lines for `.gitattributes`: the baseline with some of [`DRIVERS`].
pub fn driver_attributes(baseline: &str, drivers: &[(&str, &str)]) -> String {
    let words: String = drivers.iter().map(|(name, value)| format!(" {name}={value}")).collect();
    let about = "# dbbuild: the baseline is merged by making it anew, and a diff names the objects.";
    format!("{about}\n{}{words}\n", quoted(baseline))
}

fn quoted(pattern: &str) -> String {
    if pattern.contains(' ') { format!("\"{pattern}\"") } else { pattern.to_owned() }
}

/// Lines for `.gitignore`: addresses and passwords of one machine, and files that a killed dbbuild left half written.
pub const GIT_IGNORE: &str = "\
# dbbuild: addresses and passwords of this machine.
.env
.env.*
!.env.example
.dbbuild-*
";

/// All files of a new repository, but for [`git_attributes`] and [`GIT_IGNORE`], which may have to join existing files.
pub fn init_files(options: &InitOptions) -> Vec<InitFile> {
    let paths = &options.paths;
    let file = |path: String, text: &str, example| InitFile { path, text: text.to_owned(), example };
    let sql = |folder: &str, name: &str, text: &str| file(format!("{folder}/{name}.sql"), text, true);
    let migration = format!("{}_create_greetings", options.first_version);
    vec![
        file(FILE_NAME.to_owned(), &configuration(options), false),
        sql(&paths.migrations, &migration, include_str!("init/migration.sql")),
        sql(&paths.repeatable, "greeting_list", include_str!("init/repeatable.sql")),
        sql(&paths.init, "greetings", include_str!("init/init.sql")),
        sql(&paths.testdata, "default/greetings", include_str!("init/testdata.sql")),
        sql(&paths.checks, "greetings_are_not_empty", include_str!("init/check.sql")),
        file(paths.roles.clone(), include_str!("init/roles.toml"), false),
        file(paths.hba.clone(), include_str!("init/pg_hba.conf"), false),
        file(paths.access.clone(), include_str!("init/access.toml"), false),
    ]
}

/// The text of a file that lacks some of `lines`, or `None` where it has them all. Comments of `lines` come along with
/// what is missing; what is there stays untouched, its line endings too.
pub fn append_lines(existing: &str, lines: &str) -> Option<String> {
    let present = |line: &str| existing.lines().any(|have| have.trim() == line.trim());
    let missing: Vec<&str> = lines.lines().filter(|line| !present(line)).collect();
    if missing.iter().all(|line| line.starts_with('#')) {
        return None;
    }
    let ending = if existing.contains("\r\n") { "\r\n" } else { "\n" };
    let mut text = existing.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str(ending);
    }
    for line in missing {
        text.push_str(line);
        text.push_str(ending);
    }
    Some(text)
}

fn configuration(options: &InitOptions) -> String {
    let image = match &options.image {
        Some(image) => format!("image = {}", toml_string(image)),
        None => format!("# image = \"postgres:{}\"", options.postgres_version),
    };
    include_str!("init/dbbuild.toml")
        .replace("{{version}}", &options.postgres_version.to_string())
        .replace("{{image}}", &image)
        .replace("{{database}}", &toml_string(&options.database))
}

/// The same for a database that is there: with its encoding, and with its locale as a comment, since the machine may not
/// have it.
pub fn adopted_configuration(options: &InitOptions, encoding: &str, locale: &str) -> String {
    let mut text = configuration(options);
    if encoding != "UTF8" {
        text = text.replace("# encoding = \"UTF8\"", &format!("encoding = {}", toml_string(encoding)));
    }
    text.replace("# locale = \"C\"", &format!("# locale = {}", toml_string(locale)))
}

fn toml_string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
