//! Killed at any point, dbbuild or the server, a downgrade leaves the database at a migration and the attic whole; run again, it ends.

use super::{World, config};
use crate::support::{Held, Server, server, until};
use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::thread::sleep;
use std::time::Instant;

const MIGRATIONS: u32 = 6;

/// Each adds a column and a table, and takes a while to go.
fn world(server: &Server, name: &str) -> World {
    let world = World::without_git();
    world.write("dbbuild.toml", config(&server.existing(name), false));
    world.write("db/migrations/1_base.sql", "CREATE TABLE IF NOT EXISTS base (id int PRIMARY KEY);\n");
    for n in 2..=MIGRATIONS {
        world.write(
            &format!("db/migrations/{n}_m.sql"),
            format!(
                "-- migrate:up\nALTER TABLE base ADD COLUMN IF NOT EXISTS c{n} text;\n\
                 CREATE TABLE IF NOT EXISTS t{n} (id int PRIMARY KEY, v text);\n\
                 -- migrate:down\nSELECT pg_sleep(0.02);\nALTER TABLE base DROP COLUMN c{n};\nSELECT pg_sleep(0.02);\nDROP TABLE t{n};\n"
            ),
        );
    }
    // It shows what goes, so that it stands in the way, and loads again at any version.
    world.write("db/repeatable/wide.sql", "CREATE OR REPLACE VIEW wide AS SELECT * FROM base;\n");
    world
}

/// The view shows all that the table has.
fn is_viewed(server: &Server, name: &str, label: &str) {
    let columns = |relation: &str| {
        let sql = format!(
            "SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_attribute \
             WHERE attrelid = to_regclass('{relation}') AND attnum > 0 AND NOT attisdropped"
        );
        server.existing(name).psql(&sql)
    };
    assert_eq!(columns("wide"), columns("base"), "{label}");
}

/// Whatever is applied stands whole, and what is not is whole in the attic.
fn check(server: &Server, name: &str, label: &str) {
    let db = server.existing(name);
    let applied = db.applied();
    let newest: u32 = applied.split(' ').count().try_into().unwrap();
    let expected: Vec<String> = (1..=newest).map(|n| n.to_string()).collect();
    assert_eq!(applied, expected.join(" "), "{label}: not at a migration");
    for n in 2..=MIGRATIONS {
        let there = db.psql(&format!(
            "SELECT to_regclass('t{n}') IS NOT NULL, (SELECT count(*) FROM pg_attribute WHERE attrelid = 'base'::regclass AND attname = 'c{n}')"
        ));
        assert_eq!(there, if n <= newest { "t|1" } else { "f|0" }, "{label}: migration {n}");
        if n <= newest {
            let rows = db.psql(&format!(
                "SELECT count(*) FROM t{n} WHERE v = 'v' || id; SELECT count(*) FROM base WHERE c{n} = 'c' || id"
            ));
            assert_eq!(rows, "100\n50", "{label}: rows of migration {n}");
        } else {
            let sql = format!(
                "SELECT string_agg(kind || ' ' || rows, ' ' ORDER BY kind) FROM dbbuild_attic.entry WHERE version = '{n}'"
            );
            assert_eq!(db.psql(&sql), "column 50 table 100", "{label}: the attic of migration {n}");
        }
    }
}

#[test]
fn a_kill_at_any_point_leaves_a_migration_and_a_whole_attic() {
    let Some(mut server) = Server::private(15, &["synchronous_commit=on"]) else { return };
    let name = server.fresh_database().keep();
    let world = world(&server, &name);
    world.dbbuild(&["apply"]).ok();
    let fill: String = (2..=MIGRATIONS)
        .map(|n| {
            format!(
                "INSERT INTO t{n} SELECT i, 'v' || i FROM generate_series(1, 100) i; UPDATE base SET c{n} = 'c' || id;"
            )
        })
        .collect();
    server.existing(&name).psql(&format!("INSERT INTO base SELECT generate_series(1, 50); {fill}"));
    let begin = Instant::now();
    world.dbbuild(&["downgrade", "--to", "1"]).ok();
    let mut usual = begin.elapsed();
    check(&server, &name, "at rest");
    world.dbbuild(&["apply"]).ok();
    check(&server, &name, "given back");
    let rounds = std::env::var("DBBUILD_KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(24);
    let mut random = StdRng::seed_from_u64(rounds.into());
    let (mut stopped, mut crashed) = (0, 0);
    // More rounds where the machine was busy when the usual time was taken, so that kills come too late.
    for round in 0..4 * rounds {
        if round >= rounds && crashed > rounds / 12 && stopped > rounds / 3 {
            break;
        }
        let up = round % 4 == 3;
        if up {
            world.dbbuild(&["downgrade", "--to", "1"]).ok();
        }
        let arguments: &[&str] = if up { &["apply"] } else { &["downgrade", "--to", "1"] };
        let after = usual.mul_f64(random.random_range(0.02..1.0));
        let label = format!("round {round}: {arguments:?} for {after:?}");
        let mut dbbuild = world.start(arguments);
        sleep(after);
        match round % 6 {
            2 => server.crash(),
            5 => server.crash_whole(),
            _ => dbbuild.signal(Signal::SIGKILL),
        }
        let killed = dbbuild.wait();
        crashed += u32::from(killed.status == 1);
        stopped += u32::from(killed.status != 0);
        if killed.status == 0 {
            usual = usual.mul_f64(0.9);
        }
        // Where dbbuild was killed the server may still be busy with what it was sent.
        until(&server.existing(&name), GONE);
        check(&server, &name, &label);
        world.dbbuild(arguments).ok();
        check(&server, &name, &label);
        if !up {
            is_viewed(&server, &name, &label);
        }
        world.dbbuild(&["apply"]).ok();
        check(&server, &name, &label);
    }
    assert!(crashed > rounds / 12, "only {crashed} crashes of the server came in time");
    assert!(stopped > rounds / 3, "only {stopped} kills came in time");
}

/// Nothing of dbbuild's is at work in the database any more.
const GONE: &str = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name ~ '^dbbuild' AND datname = current_database())";

#[test]
fn a_kill_leaves_no_sequence_set_back() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = World::without_git();
    let timeout = "[lock]\ntimeout = \"60s\"\n";
    world.write("dbbuild.toml", format!("{}{timeout}", config(&db, false)));
    world.write(
        "db/migrations/1_base.sql",
        "CREATE TABLE t (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY); CREATE SEQUENCE \"Of one's own\" INCREMENT -2;\n\
         CREATE FUNCTION rewind() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT setval('\"Of one''s own\"', -1); END;\n",
    );
    let gate = "pg_advisory_xact_lock(4711)";
    world.write(
        "db/migrations/2_more.sql",
        format!(
            "-- migrate:up\nSELECT 1;\n-- migrate:down\n\
             SELECT setval(pg_get_serial_sequence('t', 'id'), 1, false), rewind();\nDELETE FROM t;\nSELECT {gate};\n"
        ),
    );
    world.dbbuild(&["apply"]).ok();
    db.psql("INSERT INTO t SELECT FROM generate_series(1, 3); SELECT setval('\"Of one''s own\"', -9)");
    let positions = "SELECT t.last_value, t.is_called, o.last_value, o.is_called FROM t_id_seq t, \"Of one's own\" o";
    let stands = db.psql(positions);
    assert_eq!(stands, "3|t|-9|t");
    let waiting = |sessions: usize| {
        let sql = format!(
            "SELECT count(*) = {sessions} AND count(*) FILTER (WHERE a.application_name ~ '^dbbuild') = 1 FROM pg_locks l \
             JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.objid = 4711 AND NOT l.granted \
             AND a.datname = current_database()"
        );
        until(&db, &sql);
    };
    for in_earnest in [false, true] {
        let (mut first, mut second) = (Held::open(&db), Held::open(&db));
        first.run("SELECT pg_advisory_lock(4711)");
        let mut dbbuild = world.start(&["downgrade", "--to", "1"]);
        waiting(1);
        if in_earnest {
            // The trial comes through before it, the run after the keeping does not.
            second.send("SELECT pg_advisory_lock(4711);");
            waiting(2);
            drop(first);
            waiting(1);
        }
        dbbuild.signal(Signal::SIGKILL);
        dbbuild.wait();
        until(&db, GONE);
        assert_eq!(db.psql(positions), stands, "in earnest: {in_earnest}");
    }
    world.dbbuild(&["downgrade", "--to", "1"]).ok();
    assert_eq!(db.psql(positions), "1|f|-1|t");
    world.dbbuild(&["apply"]).ok();
    assert_eq!((db.psql(positions), db.psql("SELECT count(*) FROM t")), (stands, "3".to_owned()));
}
