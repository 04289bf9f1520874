//! Real servers of the programs and the engine on this machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::Signal;

use super::docker::engine_answers;
use super::docker_keeper::Keeper;
use super::embedded::prune_in;
use super::kept::{Kept, Shelf};
use super::state::StateDir;
use super::sweep::{InstanceDir, sweep};
use super::*;
use crate::engine::dump::{DumpOptions, DumpProgram, DumpSource, pg_dump};
use crate::engine::tests::skip;
use crate::model::checksum::Checksum;

/// What a throwaway of local programs is made with; `None` where there are none.
fn local() -> Option<ThrowawayOptions> {
    if let Err(error) = programs::find(None, Some(15)) {
        skip(&error.to_string());
        return None;
    }
    Some(ThrowawayOptions {
        kind: ThrowawayKind::Local,
        major: Some(15),
        database: "shop".into(),
        ..ThrowawayOptions::default()
    })
}

/// The same for Docker and its image.
async fn docker() -> Option<ThrowawayOptions> {
    let options = ThrowawayOptions {
        kind: ThrowawayKind::Docker,
        major: Some(15),
        image: Some("postgres:15".into()),
        database: "shop".into(),
        role: Some("shop_owner".into()),
        ..ThrowawayOptions::default()
    };
    let usable = match docker_engine::connect() {
        Ok(client) => {
            engine_answers().await.is_ok() && docker_engine::has_image(&client, "postgres:15").await.unwrap_or(false)
        }
        Err(_) => false,
    };
    if !usable {
        skip("a Docker engine with the image postgres:15");
    }
    usable.then_some(options)
}

async fn value(address: &ServerAddress, database: &str, sql: &str) -> String {
    let client = address.connect(database).await.unwrap();
    client.query_one(sql, &[]).await.unwrap().get(0)
}

fn socket_dir(address: &ServerAddress) -> std::path::PathBuf {
    match &address.host {
        HostOrSocketDir::SocketDir(dir) => dir.clone(),
        HostOrSocketDir::Host(host) => panic!("{host} is no socket"),
    }
}

const SETTINGS: &str = "SELECT concat_ws(' ', current_setting('timezone'), current_setting('fsync'), \
    current_setting('lc_messages'), current_setting('datestyle'), current_setting('lc_monetary'), \
    pg_encoding_to_char(encoding), datcollate, pg_get_userbyid(datdba)) \
    FROM pg_database WHERE datname = current_database()";

#[tokio::test]
async fn a_throwaway_starts_answers_and_leaves_nothing() {
    let Some(options) = local() else { return };
    let server = Throwaway::start(&options).await.unwrap();
    let socket = socket_dir(server.address());
    assert_eq!(value(server.address(), "shop", SETTINGS).await, "UTC off C ISO, MDY C UTF8 C.UTF-8 postgres");
    drop(server);
    assert!(!socket.exists());
    assert!(!socket.parent().unwrap().exists());
}

#[tokio::test]
async fn a_role_owns_the_database_and_is_no_superuser() {
    let Some(options) = local() else { return };
    let settings = [("work_mem".to_owned(), "3MB".to_owned())].into();
    let options = ThrowawayOptions { role: Some("o'w \"ner".into()), database: "a b'c\"d".into(), settings, ..options };
    let server = Throwaway::start(&options).await.unwrap();
    let address = server.role_address(options.role.as_deref());
    let sql = "SELECT concat_ws(' ', current_user, usesuper, current_setting('work_mem')) FROM pg_user WHERE usename = current_user";
    assert_eq!(value(&address, &options.database, sql).await, "o'w \"ner f 3MB");
    let client = address.connect(&options.database).await.unwrap();
    for sql in ["CREATE TABLE public.t ()", "CREATE ROLE other", "CREATE DATABASE other"] {
        client.batch_execute(sql).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_start_side_by_side() {
    let Some(options) = local() else { return };
    let (a, b, c) = tokio::join!(Throwaway::start(&options), Throwaway::start(&options), Throwaway::start(&options));
    let servers = [a.unwrap(), b.unwrap(), c.unwrap()];
    let sockets: std::collections::HashSet<_> = servers.iter().map(|server| socket_dir(server.address())).collect();
    assert_eq!(sockets.len(), 3);
}

#[tokio::test]
async fn a_wrong_setting_shows_the_servers_log() {
    let Some(options) = local() else { return };
    let settings = [("shared_preload_libraries".to_owned(), "no_such_library".to_owned())].into();
    let error = Throwaway::start(&ThrowawayOptions { settings, ..options }).await.unwrap_err();
    assert!(error.details()[0].contains("no_such_library"), "{error:?}");
}

#[tokio::test]
async fn a_stopped_server_is_started_from() {
    let Some(options) = local() else { return };
    let server = Throwaway::start(&options).await.unwrap();
    let client = server.address().connect("shop").await.unwrap();
    client.batch_execute("CREATE TABLE t AS SELECT 42 AS n").await.unwrap();
    drop(client);
    let temp = tempfile::tempdir().unwrap();
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let state = StateDir::at(temp.path().join("s")).unwrap();
    let key = Checksum::of_text("a state");
    let shelf = Shelf::Local(state.clone());
    assert!(kept::find(&shelf, &key).is_none());
    let stopped = server.stop().await.unwrap().unwrap();
    let state_of = |kept: &Kept| ThrowawayOptions { from: Some(kept.origin()), ..options.clone() };
    let first = kept::keep(&shelf, stopped, &key, "a note\nof two lines").await.unwrap();
    let again = Throwaway::start(&state_of(&first)).await.unwrap();
    assert_eq!(value(again.address(), "shop", "SELECT n::text FROM t").await, "42");
    // The same once more comes back, since it is there already.
    let stopped = kept::keep(&shelf, again.stop().await.unwrap().unwrap(), &key, "").await.unwrap_err();
    assert!(folder(&stopped.origin()).join("PG_VERSION").exists());
    assert!(kept::prune(&state).is_empty(), "it is in use");
    first.annotate("another");
    drop(first);
    assert_eq!(kept::find(&shelf, &key).unwrap().note(), "another");
    // A file that was written to makes it as good as none.
    let data = folder(&kept::find(&shelf, &key).unwrap().origin());
    fs::write(data.join("PG_VERSION"), "15\n").unwrap();
    assert!(kept::find(&shelf, &key).is_none() && !data.exists());
    let other = kept::keep(&shelf, stopped, &Checksum::of_text("another state"), "").await.unwrap();
    let data = folder(&other.origin());
    drop(other);
    // A store goes with its state directory.
    drop(temp);
    is_swept(&data);
}

/// Sweeps until a folder is gone: another test that sweeps at the same time may be at it.
fn is_swept(folder: &Path) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while folder.exists() {
        assert!(std::time::Instant::now() < end, "{} stays", folder.display());
        sweep(&StateDir::open().unwrap());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn folder(origin: &Origin) -> std::path::PathBuf {
    match origin {
        Origin::Folder(path) => path.clone(),
        Origin::Keeper(path) => panic!("{path} is in a container"),
    }
}

#[tokio::test]
async fn a_killed_owners_server_is_swept() {
    let Some(options) = local() else { return };
    drop(Throwaway::start(&options).await.unwrap());
    let state = StateDir::open().unwrap();
    let programs = programs::find(None, Some(15)).unwrap();
    let source = template::template(&state, &programs, "UTF8", None).unwrap();
    let leave = |killed: bool| {
        let instance = InstanceDir::create(&state).unwrap();
        let (path, data) = (instance.path().to_path_buf(), instance.path().join("data"));
        cluster::copy_data(&source, &data, state.user()).unwrap();
        let socket = instance.socket_dir(&state).unwrap();
        let mut command = cluster::server_command(&programs, state.user(), &data, &socket);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = process::spawn_detached(command).unwrap();
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while process::running_postmaster(&data).is_none() && std::time::Instant::now() < end {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let pid = process::running_postmaster(&data).unwrap();
        if killed {
            process::signal(pid, Signal::SIGKILL);
            child.wait().unwrap();
        } else {
            std::thread::spawn(move || child.wait());
        }
        // As a killed owner leaves it: everything there, the lock free.
        instance.abandon();
        (path, pid)
    };
    let (running, pid) = leave(false);
    let (dead, _) = leave(true);
    let kept = Throwaway::start(&options).await.unwrap();
    is_swept(&running);
    is_swept(&dead);
    assert!(!process::alive(pid));
    assert_eq!(value(kept.address(), "shop", "SELECT 'lives'").await, "lives");
}

/// Not a test of its own: what [`a_server_dies_with_its_owner`] runs as another process and kills.
#[tokio::test]
async fn owner_that_is_killed() {
    let Some(report) = std::env::var_os("DBBUILD_TEST_REPORT") else { return };
    let options = local().unwrap();
    let server = Throwaway::start(&options).await.unwrap();
    fs::write(report, socket_dir(server.address()).to_str().unwrap()).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(300)).await;
}

#[tokio::test]
async fn a_server_dies_with_its_owner() {
    if local().is_none() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let report = temp.path().join("report");
    let mut owner = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "engine::server::tests::owner_that_is_killed"])
        .env("DBBUILD_TEST_REPORT", &report)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(120);
    let socket = loop {
        match fs::read_to_string(&report) {
            Ok(text) if !text.is_empty() => break std::path::PathBuf::from(text),
            _ => assert!(std::time::Instant::now() < end, "the owner did not start its server"),
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    let instance = socket.parent().unwrap();
    let pid = process::running_postmaster(&instance.join("data")).unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    if cfg!(target_os = "linux") {
        assert!(process::wait_gone(pid, std::time::Duration::from_secs(60)));
    }
    is_swept(instance);
    assert!(!process::alive(pid));
}

fn embedded(state: &Path, repository: &Path) -> Embedded {
    let state = StateDir::at(state).unwrap();
    let options = EmbeddedOptions { major: Some(15), ..EmbeddedOptions::default() };
    let mut server = Embedded::at(repository, options).unwrap();
    server.state = state;
    server
}

/// A folder that the server's user can pass through, unlike the private ones of `tempfile`.
fn open_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let temp = tempfile::tempdir().unwrap();
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o711)).unwrap();
    temp
}

#[tokio::test]
async fn the_embedded_server_starts_once_survives_a_kill_and_is_pruned() {
    if local().is_none() {
        return;
    }
    let temp = open_folder();
    let repository = temp.path().join("repository");
    fs::create_dir(&repository).unwrap();
    let server = embedded(&temp.path().join("state"), &repository);
    assert!(!server.status().await.unwrap().exists);
    assert!(!server.stop().await.unwrap());
    let (address, again) = tokio::join!(server.start(), server.start());
    let address = address.unwrap();
    assert_eq!(address, again.unwrap());
    let first = server.status().await.unwrap();
    let id = server.server_id().unwrap();
    address.prepare("shop", None).await.unwrap();
    address.prepare("shop", None).await.unwrap();
    let client = address.connect("shop").await.unwrap();
    client.batch_execute("CREATE TABLE t AS SELECT 1 AS n").await.unwrap();
    // Killed, with a client that is connected.
    let pid = first.pid.unwrap();
    process::signal(pid, Signal::SIGKILL);
    assert!(process::wait_gone(pid, std::time::Duration::from_secs(60)));
    assert_eq!(server.address().await.unwrap(), None);
    let address = server.start().await.unwrap();
    assert_eq!(value(&address, "shop", "SELECT n::text FROM t").await, "1");
    assert!(server.stop().await.unwrap());
    assert!(!server.stop().await.unwrap());
    server.start().await.unwrap();
    assert_eq!(server.server_id().unwrap(), id);
    let other = EmbeddedOptions { major: Some(16), ..server.options.clone() };
    let error = Embedded { options: other, ..server.clone() }.start().await.unwrap_err();
    assert!(error.message().contains("is of PostgreSQL 15"), "{error}");
    // Its repository goes, and a prune takes the running server along.
    let pid = server.status().await.unwrap().pid.unwrap();
    fs::remove_dir(&repository).unwrap();
    let done = prune_in(&server.state).await.unwrap();
    assert!(done.iter().any(|line| line.contains("which is gone")), "{done:?}");
    assert!(!process::alive(pid));
    assert!(!server.folder().exists());
}

async fn dump(server: &Throwaway, program: DumpProgram) -> String {
    let env = server.address().libpq_env("shop");
    let source = DumpSource { env, database: "shop".into(), program };
    let options = DumpOptions { exclude_schemas: vec!["hidden".into()], ..DumpOptions::default() };
    String::from_utf8(pg_dump(&source, &options).await.unwrap()).unwrap()
}

const SCHEMA: &str = "CREATE SCHEMA hidden; CREATE TABLE hidden.h (); CREATE TABLE public.seen (at timestamptz DEFAULT '2020-01-01'); \
    INSERT INTO public.seen VALUES ('2020-06-01 12:00+00'); ALTER DATABASE shop SET timezone = 'Asia/Tokyo'";

#[tokio::test]
async fn a_dump_is_taken_in_utc_and_without_the_excluded_schema() {
    let Some(options) = local() else { return };
    let server = Throwaway::start(&options).await.unwrap();
    server.address().connect("shop").await.unwrap().batch_execute(SCHEMA).await.unwrap();
    let text = dump(&server, server.dump_program()).await;
    assert!(text.contains("CREATE TABLE public.seen") && text.contains("2020-06-01 12:00:00+00"), "{text}");
    assert!(!text.contains("hidden"), "{text}");
    let source = DumpSource {
        env: server.address().libpq_env("absent"),
        database: "absent".into(),
        program: server.dump_program(),
    };
    let error = pg_dump(&source, &DumpOptions::default()).await.unwrap_err();
    assert!(error.details()[0].contains("\"absent\" does not exist"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_serves_like_local_programs() {
    let Some(options) = docker().await else { return };
    let server = Throwaway::start(&options).await.unwrap();
    let settings = value(server.address(), "shop", SETTINGS).await;
    assert_eq!(settings, "UTC off C ISO, MDY C UTF8 C.UTF-8 shop_owner");
    let role = server.role_address(Some("shop_owner"));
    role.connect("shop").await.unwrap().batch_execute(SCHEMA).await.unwrap();
    let client = docker_engine::connect().unwrap();
    let id = server.container().unwrap().to_owned();
    // The sweep leaves alone what a living process owns.
    docker_engine::sweep(&client, false).await.unwrap();
    let inside = dump(&server, DumpProgram::Container { id: id.clone(), port: 5432 }).await;
    assert!(inside.contains("CREATE TABLE public.seen") && !inside.contains("hidden"), "{inside}");
    server.stop().await.unwrap();
    let left = docker_engine::list(&client, &format!("{}=1", docker_engine::THROWAWAY_LABEL)).await.unwrap();
    assert!(left.iter().all(|container| container.id.as_ref() != Some(&id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_container_holds_servers_and_states() {
    let Some(options) = docker().await else { return };
    let temp = open_folder();
    let state = StateDir::at(temp.path().join("state")).unwrap();
    let (one, other) = tokio::join!(Keeper::open(&options, &state), Keeper::open(&options, &state));
    let keeper = one.unwrap();
    assert_eq!(keeper, other.unwrap(), "two that come at once share one");
    let options = ThrowawayOptions { keeper: Some(keeper.clone()), ..options };
    let (server, beside) = tokio::join!(Throwaway::start(&options), Throwaway::start(&options));
    let (server, beside) = (server.unwrap(), beside.unwrap());
    assert_eq!(value(server.address(), "shop", SETTINGS).await, "UTC off C ISO, MDY C UTF8 C.UTF-8 shop_owner");
    server.role_address(Some("shop_owner")).connect("shop").await.unwrap().batch_execute(SCHEMA).await.unwrap();
    let there = "SELECT (to_regclass('public.seen') IS NOT NULL)::text";
    assert_eq!(value(beside.address(), "shop", there).await, "false", "each has a cluster of its own");
    let port = server.address().port;
    let inside = (5432..5444).find(|inside| keeper.host_port(*inside) == Some(port)).unwrap();
    let inside = dump(&server, DumpProgram::Container { id: keeper.id().to_owned(), port: inside }).await;
    assert!(inside.contains("CREATE TABLE public.seen"), "{inside}");
    beside.remove().await;

    let shelf = Shelf::Keeper(state.clone(), keeper.clone());
    let (key, second) = (Checksum::of_text("a state"), Checksum::of_text("another"));
    assert!(kept::find(&shelf, &key).is_none());
    let kept = kept::keep(&shelf, server.stop().await.unwrap().unwrap(), &key, "a note").await.unwrap();
    assert_eq!(kept::find(&shelf, &key).unwrap().note(), "a note");
    let from = |origin: Origin| ThrowawayOptions { from: Some(origin), ..options.clone() };
    let again = Throwaway::start(&from(kept.origin())).await.unwrap();
    assert_eq!(value(again.address(), "shop", there).await, "true");
    let stopped = kept::keep(&shelf, again.stop().await.unwrap().unwrap(), &key, "").await.unwrap_err();
    let kept_too = kept::keep(&shelf, stopped, &second, "").await.unwrap();
    let again = Throwaway::start(&from(kept_too.origin())).await.unwrap();
    assert_eq!(value(again.address(), "shop", there).await, "true");
    // What is discarded is no more known of, and gone from the container when the next is kept.
    drop(kept_too);
    kept::find(&shelf, &second).unwrap().discard();
    assert!(kept::find(&shelf, &second).is_none());
    let third = kept::keep(&shelf, again.stop().await.unwrap().unwrap(), &Checksum::of_text("3"), "").await.unwrap();
    drop(third);
    let gone = kept::find(&shelf, &key).map(|kept| from(kept.origin()));
    assert!(Throwaway::start(&gone.unwrap()).await.is_ok());
    let missing = Origin::Keeper(format!("/dbbuild/kept/{second}"));
    let error = Throwaway::start(&from(missing)).await.unwrap_err();
    assert!(error.to_string().contains("cannot copy"), "{error}");

    let client = docker_engine::connect().unwrap();
    assert!(docker_engine::inspect(&client, keeper.id()).await.unwrap().is_some());
    prune_in(&state).await.unwrap();
    assert!(docker_engine::inspect(&client, keeper.id()).await.unwrap().is_none());
    assert!(kept::keys(&shelf).is_empty(), "what is known of its states goes with it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_the_image_refuses_is_shown_by_its_log() {
    let Some(options) = docker().await else { return };
    let temp = open_folder();
    let state = StateDir::at(temp.path().join("state")).unwrap();
    let settings = [("shared_preload_libraries".to_owned(), "no_such_library".to_owned())].into();
    let error = Keeper::open(&ThrowawayOptions { settings, ..options }, &state).await.unwrap_err();
    assert!(error.details()[0].contains("no_such_library"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_another_version_is_refused() {
    let Some(options) = docker().await else { return };
    let error = Throwaway::start(&ThrowawayOptions { major: Some(16), ..options }).await.unwrap_err();
    assert!(error.message().contains("runs PostgreSQL 15"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_falls_to_local_programs_with_a_note() {
    let Some(options) = local() else { return };
    let options = ThrowawayOptions { kind: ThrowawayKind::Auto, image: Some("dbbuild.invalid/no:1".into()), ..options };
    let choice = choose(&options).await.unwrap();
    assert_eq!((choice.options.kind, choice.notes.len()), (ThrowawayKind::Local, 1), "{:?}", choice.notes);
    Throwaway::start(&choice.options).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_server_runs_in_docker_where_no_programs_are() {
    if docker().await.is_none() {
        return;
    }
    let temp = open_folder();
    let repository = temp.path().join("repository");
    fs::create_dir(&repository).unwrap();
    let mut server = embedded(&temp.path().join("state"), &repository);
    server.options.bin_dir = Some(temp.path().join("nowhere"));
    server.options.image = Some("postgres:15".into());
    let address = server.start().await.unwrap();
    address.prepare("shop", None).await.unwrap();
    assert!(server.stop().await.unwrap());
    assert_eq!(server.address().await.unwrap(), None);
    let address = server.start().await.unwrap();
    assert_eq!(value(&address, "shop", "SELECT 'kept'").await, "kept");
    fs::remove_dir(&repository).unwrap();
    prune_in(&server.state).await.unwrap();
    assert!(!server.folder().exists());
}
