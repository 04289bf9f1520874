//! The first files of a repository, as `dbbuild init` writes them. Together they build and verify: one table, one view, a
//! row of init data, a row of test data, a check. It never decides whether a file may be written.

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
}

/// A file to write if it does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitFile {
    /// Path from the top of the repository, with `/`.
    pub path: String,
    /// The whole text, with LF endings.
    pub text: String,
}

/// Lines for `.gitattributes`: the same bytes on every machine, so that checksums and the baseline agree.
pub const GIT_ATTRIBUTES: &str = "\
# dbbuild: what the database is built from has the same bytes on every machine.
dbbuild.toml text eol=lf
db/**/*.sql text eol=lf
db/roles.toml text eol=lf
db/pg_hba.conf text eol=lf
";

/// Lines for `.gitignore`: addresses and passwords of one machine.
pub const GIT_IGNORE: &str = "\
# dbbuild: addresses and passwords of this machine.
.env
.env.*
";

/// All files of a new repository, but for [`GIT_ATTRIBUTES`] and [`GIT_IGNORE`], which may have to join existing files.
pub fn init_files(options: &InitOptions) -> Vec<InitFile> {
    let file = |path: &str, text: &str| InitFile { path: path.to_owned(), text: text.to_owned() };
    vec![
        InitFile { path: "dbbuild.toml".to_owned(), text: configuration(options) },
        InitFile {
            path: format!("db/migrations/{}_create_greetings.sql", options.first_version),
            text: include_str!("init/migration.sql").to_owned(),
        },
        file("db/repeatable/greeting_list.sql", include_str!("init/repeatable.sql")),
        file("db/init/greetings.sql", include_str!("init/init.sql")),
        file("db/testdata/default/greetings.sql", include_str!("init/testdata.sql")),
        file("db/checks/greetings_are_not_empty.sql", include_str!("init/check.sql")),
        file("db/roles.toml", include_str!("init/roles.toml")),
        file("db/pg_hba.conf", include_str!("init/pg_hba.conf")),
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

fn toml_string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
