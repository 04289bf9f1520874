//! Databases of one environment, made for one test, and what runs dbbuild over them.

use crate::support::{Outcome, Server, World};

/// Databases of a test's own, dropped with the value.
pub struct Tenants {
    server: &'static Server,
    pub(super) names: Vec<String>,
}

impl Tenants {
    /// So many databases `PREFIX_01`, … on the shared server.
    pub fn make(server: &'static Server, prefix: &str, number: usize) -> Tenants {
        Tenants::named(server, (1..=number).map(|n| format!("{prefix}_{n:02}")).collect())
    }

    pub(super) fn named(server: &'static Server, names: Vec<String>) -> Tenants {
        for name in &names {
            sql(server, "postgres", &format!("CREATE DATABASE {} TEMPLATE template0", quote(name)));
        }
        Tenants { server, names }
    }

    /// One that dbbuild made.
    pub(super) fn existing(server: &'static Server, name: &str) -> Tenants {
        Tenants { server, names: vec![name.to_owned()] }
    }

    pub fn sql(&self, n: usize, text: &str) -> String {
        sql(self.server, &self.names[n], text)
    }

    /// The applied versions of each; nothing where no migration ever ran.
    pub fn applied(&self) -> Vec<String> {
        let text = "SELECT string_agg(version, ',' ORDER BY position) FROM dbbuild.migration WHERE state = 'applied'";
        let of =
            |name: &String| match sql(self.server, name, "SELECT to_regclass('dbbuild.migration') IS NULL").as_str() {
                "t" => String::new(),
                _ => sql(self.server, name, text),
            };
        self.names.iter().map(of).collect()
    }
}

impl Drop for Tenants {
    fn drop(&mut self) {
        for name in &self.names {
            let text = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote(name));
            self.server.run("psql", &["-Xqc", &text, "-d", "postgres"]);
        }
    }
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[track_caller]
pub(super) fn sql(server: &Server, database: &str, text: &str) -> String {
    let database = format!("dbname='{}'", database.replace('\\', "\\\\").replace('\'', "\\'"));
    server.run("psql", &["-XAtqc", text, "-d", &database]).ok().stdout.trim().to_owned()
}

/// A world whose environment `production` has these targets, with one migration.
pub fn world(server: &Server, targets: &str) -> World {
    let mut world = World::without_git();
    world.set("PRODUCTION_URL", server.url("postgres"));
    world.write(
        "dbbuild.toml",
        format!(
            "[postgres]\nversion = 15\n[lock]\nwait = \"300ms\"\n[env.development]\n[env.production]\nurl_env = \"PRODUCTION_URL\"\n\
             protected = true\n{targets}\n"
        ),
    );
    world.write("db/migrations/1_note.sql", "CREATE TABLE IF NOT EXISTS note (id int PRIMARY KEY, body text);\n");
    world
}

pub fn pattern(prefix: &str) -> String {
    format!("targets = {{ pattern = \"{prefix}_*\" }}")
}

pub fn run(world: &World, command: &[&str]) -> Outcome {
    world.dbbuild(&[command, &["--env", "production"]].concat())
}
