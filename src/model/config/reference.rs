//! Every key of `dbbuild.toml` with default and meaning, for the README, `dbbuild init` and `--help`.
//!
//! A test compares the list with the fields that the parser accepts and the defaults that it gives.

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyDoc {
    /// Full name; `NAME` stands for an environment.
    pub key: &'static str,
    /// The default as TOML; empty where the key has none.
    pub default: &'static str,
    /// What it does, as a sentence.
    pub meaning: &'static str,
}

const fn key(key: &'static str, default: &'static str, meaning: &'static str) -> KeyDoc {
    KeyDoc { key, default, meaning }
}

/// All keys in the order of the documentation.
pub fn reference() -> &'static [KeyDoc] {
    KEYS
}

static KEYS: &[KeyDoc] = &[
    key("default_env", "\"development\"", "The environment used without `--env`."),
    key(
        "postgres.version",
        "",
        "The major version that production runs. Throwaway servers and `pg_dump` are of this version; without it, of the \
         version of the programs that are found.",
    ),
    key(
        "postgres.throwaway",
        "\"auto\"",
        "Where throwaway servers come from: \"docker\", \"local\" (programs of this machine), or \"auto\": Docker where an \
         image is configured, local programs otherwise, and the other one where that fails.",
    ),
    key("postgres.image", "", "The Docker image of throwaway servers, for instance one with your extensions."),
    key("postgres.bin_dir", "", "The folder of PostgreSQL's programs, where they are not found by themselves."),
    key(
        "postgres.database",
        "",
        "The database's name in throwaway servers, as in production. Without it, a name made from the repository's folder.",
    ),
    key("postgres.encoding", "", "Encoding of throwaway and embedded databases; without it UTF8."),
    key("postgres.locale", "", "Locale of throwaway and embedded databases; without it C."),
    key(
        "postgres.role",
        "",
        "The role that runs migrations in production where that is not a superuser; throwaway servers do the same.",
    ),
    key(
        "postgres.settings",
        "{}",
        "Settings of throwaway servers and the embedded one, for instance shared_preload_libraries.",
    ),
    key("paths.migrations", "\"db/migrations\"", "Folder of migrations."),
    key(
        "paths.repeatable",
        "\"db/repeatable\"",
        "Folder of views, functions, triggers and grants that run when they changed.",
    ),
    key(
        "paths.init",
        "\"db/init\"",
        "Folder of data that every install needs; a subfolder is for the environment it is named after.",
    ),
    key("paths.testdata", "\"db/testdata\"", "Folder whose subfolders are sets of test data."),
    key("paths.checks", "\"db/checks\"", "Folder of integrity queries; every row returned is a failure."),
    key("paths.definitions", "\"db/definitions\"", "Folder of definitions: what each object is, for reading."),
    key("paths.baseline", "\"db/baseline.sql\"", "The generated baseline."),
    key("paths.roles", "\"db/roles.toml\"", "Users and roles."),
    key(
        "paths.hba",
        "\"db/pg_hba.conf\"",
        "Host-based access; an environment's own file stands beside it, as `pg_hba.ENV.conf`.",
    ),
    key("paths.access", "\"db/access.toml\"", "What is expected of host-based access."),
    key(
        "paths.include",
        "\"db/include\"",
        "Folder of scripts and data that files with `-- dbbuild:psql true` take in.",
    ),
    key(
        "migrations.idempotent",
        "\"error\"",
        "What to do about a migration that changes something when run again: \"error\", \"warn\" or \"off\".",
    ),
    key(
        "migrations.volatile",
        "\"error\"",
        "What to do about a value that differs between two replays (clock, random, UUID): \"error\", \"warn\" or \"off\".",
    ),
    key("git.upstream", "\"origin/HEAD\"", "The revision whose migrations are published and so may not change."),
    key(
        "hooks.auto",
        "false",
        "Whether the hooks after a checkout, merge or rebase, and `dbbuild`, bring the local database to the tree: apply what \
         is missing, and take back what other branches added. Otherwise they tell.",
    ),
    key(
        "local.per_branch",
        "false",
        "Whether each branch has a local database of its own, copied from the branch one came from.",
    ),
    key("lock.wait", "\"1min\"", "How long to wait for another dbbuild on the same database; \"0\" gives up at once."),
    key(
        "lock.timeout",
        "\"5s\"",
        "How long DDL waits for a lock before it is taken back and tried again; \"0\" waits without end.",
    ),
    key(
        "placeholders",
        "{}",
        "What `${name}` in the files stands for: a text, or `{ env = \"VARIABLE\", default = \"…\", proof = \"…\" }`.",
    ),
    key(
        "baseline.exclude",
        "[]",
        "Patterns `schema.table` (`*` and `?`) of tables that the baseline leaves out, and that are no drift.",
    ),
    key(
        "env.NAME.url_env",
        "",
        "The environment variable (or line of `.env`, `.env.NAME`) that holds the connection string. Unset is an error.",
    ),
    key(
        "env.NAME.url",
        "",
        "The connection string, as libpq's; a password is refused here, since the file is committed.",
    ),
    key(
        "env.NAME.database",
        "",
        "A database of this name on the embedded server; without any address, one of the default name.",
    ),
    key("env.NAME.protected", "false", "Whether `reset`, `drop`, `seed` and test data are refused."),
    key(
        "env.NAME.testdata",
        "[]",
        "Sets of test data that load here. Without any `[env.NAME]`, `development` loads \"default\".",
    ),
    key(
        "env.NAME.order",
        "\"any\"",
        "Whether a migration that is older than applied ones runs after them (\"any\", and it is said) or is refused (\"strict\").",
    ),
    key("env.NAME.placeholders", "{}", "Values of placeholders that hold in this environment, before those for all."),
    key(
        "env.NAME.secure_path",
        "[]",
        "Where the bodies of secure migrations lie, the first that has one counts: folders (a relative one in the \
         repository, which git must ignore) and s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX. One alone \
         may stand without brackets.",
    ),
    key(
        "env.NAME.targets",
        "",
        "The databases, where the environment has many: a list of names or addresses, `{ pattern = \"tenant_*\" }`, or \
         `{ query = \"SELECT …\", database = \"control\" }`.",
    ),
    key(
        "env.NAME.canaries",
        "0",
        "Which of them run alone and must succeed before the others begin: so many, or names and patterns.",
    ),
    key(
        "env.NAME.run_as",
        "[]",
        "The words that run a program as the server's user on this machine, for instance `[\"sudo\", \"-u\", \"postgres\"]`: \
         `dbbuild psql` opens psql through them, and `dbbuild hba` reads and writes the server's file.",
    ),
];
