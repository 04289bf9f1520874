//! Progress as it stands on a terminal: of a run over many databases, and of one.

use nix::sys::signal::Signal;

use crate::support::{Held, Terminal, redact, server};
use crate::tenants::{Tenants, pattern, run, world};

#[test]
fn each_database_that_runs_has_a_bar_and_none_is_left() {
    let Some(server) = server(15) else { return };
    let tenants = Tenants::make(server, "it_bar", 4);
    let world = world(server, &pattern("it_bar"));
    run(&world, &["apply"]).ok();
    tenants.sql(2, "CREATE TABLE second ()");
    world.write("db/migrations/2_second.sql", "SELECT pg_advisory_xact_lock(7);\nCREATE TABLE second ();\n");
    let mut holders = ["it_bar_01", "it_bar_02"].map(|name| Held::open_in(server, name));
    for held in &mut holders {
        held.run("SELECT pg_advisory_lock(7)");
    }
    let mut command = world.command(env!("CARGO_BIN_EXE_dbbuild"));
    command.args(["apply", "--env", "production", "--jobs", "2", "--keep-going"]);
    let apply = Terminal::start(command);
    let [first, second] = &mut holders;

    let is_bar = |line: &str, name: &str| line.starts_with(&format!("  {name}: waits for process "));
    let is_total = |line: &str, done: usize| {
        line.starts_with("apply production ") && line.contains(&format!(" {done}/4 databases, "))
    };
    apply.until(|screen| match screen {
        [one, two, total] => is_bar(one, "it_bar_01") && is_bar(two, "it_bar_02") && is_total(total, 0),
        _ => false,
    });
    first.run("SELECT pg_advisory_unlock(7)");
    let failed = "it_bar_03: failed: 2_second failed";
    apply.until(|screen| match screen {
        [said, two, total] => said == failed && is_bar(two, "it_bar_02") && is_total(total, 3),
        _ => false,
    });
    // What is printed meanwhile stands above the bars, each of which is there once.
    apply.signal(Signal::SIGINT);
    let stopping = "note: stopping: what runs comes to its end, nothing else begins; Ctrl-C again breaks it off";
    apply.until(|screen| match screen {
        [said, note, two, total] => {
            said == failed && note == stopping && is_bar(two, "it_bar_02") && is_total(total, 3)
        }
        _ => false,
    });
    second.run("SELECT pg_advisory_unlock(7)");
    let (status, screen) = apply.wait();
    let left: Vec<String> = screen
        .iter()
        .map(|line| redact(line, &[]))
        .filter(|line| !line.starts_with(' ') || !line.contains("[DURATION]"))
        .collect();
    assert_eq!(status, 1, "{screen:#?}");
    assert_eq!(
        left,
        [
            failed,
            stopping,
            "3 databases: applied 1 migration; it has 2 (`it_bar_01`, `it_bar_02`, `it_bar_04`)",
            "took [DURATION], the slowest databases first:",
            "4 databases of production: 3 applied, 1 failed",
            "error: apply: 1 of 4 databases of production failed, and it was interrupted",
            "help: a command for one of them takes `--env production --target NAME`.",
            "error: `it_bar_03`: 2_second failed at db/migrations/2_second.sql:2:1",
            "caused by: relation \"second\" already exists (42P07)",
            "caused by: in statement 2 of 2",
            "help: it was rolled back. Fix the file and run the same command again.",
            "help: 0 of 1 pending migrations are applied.",
        ],
        "{screen:#?}"
    );
    let waited = |name: &str| screen.iter().any(|line| line.contains(&format!(" s  {name} (waited ")));
    assert!(waited("it_bar_01") && waited("it_bar_02") && !waited("it_bar_04"), "{screen:#?}");
}

#[test]
fn a_statement_of_which_nothing_is_heard_has_its_bar() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let mut world = world(server, "");
    world.set("PRODUCTION_URL", &db.url);
    world.write("db/migrations/2_slow.sql", "SELECT pg_sleep(60);\nCREATE TABLE slow ();\n");
    let mut command = world.command(env!("CARGO_BIN_EXE_dbbuild"));
    command.args(["apply", "--env", "production"]);
    let apply = Terminal::start(command);
    apply.until(|screen| match screen {
        [bar] => bar.starts_with("migrations ") && bar.ends_with("/2 db/migrations/2_slow.sql"),
        _ => false,
    });
    apply.signal(Signal::SIGINT);
    let (status, screen) = apply.wait();
    assert_eq!((status, screen[0].as_str(), screen.len()), (1, "error: interrupted", 2), "{screen:#?}");
}
