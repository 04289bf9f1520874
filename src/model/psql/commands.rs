//! The commands of psql: which may stand in a file that dbbuild lets it run, and why the others may not.

/// What a command does, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `\i`, `\ir`: reads a script.
    Include {
        /// From the folder of the file that says so.
        relative: bool,
    },
    /// `\copy`.
    Copy,
    /// `\set`, `\unset`.
    Set,
    /// `\g` and its kin: sends what stands before it, as `;` does.
    Send {
        /// Arguments are refused: they name a file or a program.
        bare: bool,
    },
    /// `\gset`: the same, and its answer goes into variables.
    Gset,
    /// `\encoding`: how psql reads the file.
    Encoding,
    /// Nothing that matters.
    Harmless,
}

/// What is known of a command; the error says why it is refused.
pub(super) fn kind(command: &str) -> Result<Kind, &'static str> {
    const SHELL: &str = "a migration must not run shell commands";
    const WRITES: &str = "a migration must not write files";
    const ELSEWHERE: &str = "a migration runs in the database that dbbuild was given, and nowhere else";
    const PERSON: &str = "it asks a person";
    const SURROUNDINGS: &str = "what a migration does must not depend on who runs it";
    Ok(match command {
        "i" | "include" => Kind::Include { relative: false },
        "ir" | "include_relative" => Kind::Include { relative: true },
        "copy" => Kind::Copy,
        "set" | "unset" => Kind::Set,
        "g" | "gx" => Kind::Send { bare: true },
        "gexec" | "gdesc" | "crosstabview" => Kind::Send { bare: false },
        "gset" => Kind::Gset,
        "encoding" => Kind::Encoding,
        "if" | "elif" | "else" | "endif" | "echo" | "qecho" | "warn" | "restrict" | "unrestrict" | "timing"
        | "pset" | "a" | "C" | "f" | "H" | "html" | "t" | "T" | "x" | "errverbose" | "conninfo" | "p" | "print"
        | "r" | "reset" | "q" | "quit" | "bind" => Kind::Harmless,
        "!" | "setenv" => return Err(SHELL),
        "o" | "out" | "w" | "write" | "s" | "lo_export" => return Err(WRITES),
        "c" | "connect" => return Err(ELSEWHERE),
        "prompt" | "password" | "e" | "edit" | "ef" | "ev" => return Err(PERSON),
        "getenv" | "cd" | "lo_import" => return Err(SURROUNDINGS),
        // \d, \dt+, \l, \z … only show.
        other if other.starts_with(['d', 'l', 'z']) && !other.starts_with("lo_") => Kind::Harmless,
        _ => return Err("dbbuild does not know what it does"),
    })
}

/// Variables that change how psql runs a script: dbbuild sets them.
pub(super) const OWN_VARIABLES: [&str; 7] =
    ["AUTOCOMMIT", "ON_ERROR_ROLLBACK", "ON_ERROR_STOP", "SINGLELINE", "SINGLESTEP", "VERBOSITY", "SHOW_CONTEXT"];

/// Variables of psql's own whose values come from elsewhere: as bare text in SQL they could hold a command.
pub(super) const FOREIGN_VARIABLES: [&str; 5] = ["DBNAME", "USER", "HOST", "PORT", "LAST_ERROR_MESSAGE"];
