//! The files of `xtask/deploy`: images, compose file, Kubernetes job, pipelines. Each runs as it is written, as far as there
//! is no cluster and no forge: the lines of a pipeline in a clone, the containers by an engine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Db, Outcome, Running, World, docker, run, server};
use saphyr_parser::{Event, Parser};
use serde_json::{Map, Value};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("xtask/deploy").join(name)
}

/// A YAML file as a value; every scalar is text.
fn yaml(name: &str) -> Value {
    let text = fs::read_to_string(file(name)).unwrap();
    let mut events = Vec::new();
    for event in Parser::new_from_str(&text) {
        let (event, _) = event.unwrap_or_else(|e| panic!("{name}: {e}"));
        events.push(match event {
            Event::Scalar(text, ..) => Some((' ', text.into_owned())),
            Event::MappingStart(..) => Some(('{', String::new())),
            Event::SequenceStart(..) => Some(('[', String::new())),
            Event::MappingEnd | Event::SequenceEnd => Some(('}', String::new())),
            _ => None,
        });
    }
    value(&mut events.into_iter().flatten().peekable())
}

fn value(events: &mut std::iter::Peekable<impl Iterator<Item = (char, String)>>) -> Value {
    let (kind, text) = events.next().expect("a value");
    let mut list = Vec::new();
    let mut map = Map::new();
    while kind != ' ' && events.next_if(|(kind, _)| *kind == '}').is_none() {
        match kind {
            '{' => {
                let (_, key) = events.next().expect("a key");
                map.insert(key, value(events));
            }
            _ => list.push(value(events)),
        }
    }
    match kind {
        ' ' => Value::String(text),
        '{' => Value::Object(map),
        _ => Value::Array(list),
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// A committed repository with a proved baseline and a protected environment.
fn repository() -> World {
    let world = World::new();
    world.write(
        "dbbuild.toml",
        "[postgres]\nversion = 15\ndatabase = \"shop\"\n[env.development]\n\
         [env.production]\nurl_env = \"PRODUCTION_URL\"\nprotected = true\n",
    );
    world.write("db/migrations/1_one.sql", "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY);\n");
    world.write("db/repeatable/v.sql", "CREATE OR REPLACE VIEW v AS SELECT id FROM a;\n");
    world.dbbuild(&["baseline"]).ok();
    world.commit("One").ok();
    world
}

/// Runs lines as a runner does: each in a shell that stops at the first failure, in the clone.
fn run_lines(world: &World, lines: &[String], variables: &[(&str, &str)]) -> Outcome {
    assert!(!lines.is_empty());
    let mut last = None;
    for line in lines {
        let mut command = world.command("bash");
        command.args(["-euo", "pipefail", "-c", line]).envs(variables.iter().copied());
        let outcome = world.run(&mut command);
        let failed = outcome.status != 0;
        last = Some(outcome);
        if failed {
            break;
        }
    }
    last.unwrap()
}

/// Runs the jobs of a pipeline in its order, and then the one that looks for drift before and after a change by hand.
fn run_pipeline(job: &dyn Fn(&str) -> Vec<String>, variables: &[(&str, &str)], recorded: &str) {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let mut world = repository();
    world.set("PRODUCTION_URL", &db.url);
    run_lines(&world, &job("verify"), variables).ok().says("proved");
    let deployed = run_lines(&world, &job("deploy"), variables);
    deployed.ok();
    assert!(deployed.stdout.lines().last().unwrap().contains("\"event\":\"done\""), "{}", deployed.show());
    assert_eq!(record(&db), recorded);
    run_lines(&world, &job("drift"), variables).ok();
    db.psql("ALTER TABLE a ADD COLUMN by_hand int");
    run_lines(&world, &job("drift"), variables).fails(3).says("column `public.a.by_hand` is unexpected");
}

fn record(db: &Db<'_>) -> String {
    db.psql("SELECT DISTINCT concat_ws(' ', pipeline, run_by) FROM dbbuild.migration")
}

#[test]
fn the_github_pipeline_runs_as_written() {
    let workflow = yaml("github.yaml");
    let job = |name: &str| {
        let steps = workflow["jobs"][name]["steps"].as_array().unwrap();
        steps.iter().filter_map(|step| step["run"].as_str()).map(str::to_owned).collect()
    };
    let variables = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_REPOSITORY", "shop/shop"),
        ("GITHUB_RUN_ID", "7"),
        ("GITHUB_ACTOR", "ada"),
    ];
    run_pipeline(&job, &variables, "https://github.com/shop/shop/actions/runs/7 ada");
}

#[test]
fn the_gitlab_pipeline_runs_as_written() {
    let pipeline = yaml("gitlab.yaml");
    let job = |name: &str| texts(&pipeline[name]["script"]);
    let variables = [
        ("GITLAB_CI", "true"),
        ("CI_JOB_URL", "https://gitlab.example.com/shop/-/jobs/7"),
        ("GITLAB_USER_LOGIN", "grace"),
    ];
    run_pipeline(&job, &variables, "https://gitlab.example.com/shop/-/jobs/7 grace");
}

#[test]
fn the_kubernetes_job_runs_its_command_without_a_repository() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let manifest = yaml("kubernetes.yaml");
    let container = &manifest["spec"]["template"]["spec"]["containers"][0];
    let from = repository();
    let mut world = World::without_git();
    for path in ["dbbuild.toml", "db/migrations/1_one.sql", "db/repeatable/v.sql", "db/baseline.sql"] {
        world.write(path, from.read(path));
    }
    world.set("KUBERNETES_SERVICE_HOST", "10.0.0.1").set("DBBUILD_COMMIT", "abc123");
    for variable in container["env"].as_array().unwrap() {
        let value = match variable["name"].as_str().unwrap() {
            "PRODUCTION_URL" => db.url.as_str(),
            "POD_NAMESPACE" => "shop",
            "POD_NAME" => "shop-migrate-x7",
            other => panic!("{other} is given no value here"),
        };
        world.set(variable["name"].as_str().unwrap(), value);
    }
    let arguments = texts(&container["args"]);
    world.dbbuild(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).ok();
    let record = "SELECT DISTINCT git_commit || ' ' || pipeline FROM dbbuild.migration";
    assert_eq!(db.psql(record), "abc123 kubernetes shop/shop-migrate-x7");
}

/// What a container needs to be taken away again, whatever comes.
struct Started(Vec<[String; 3]>);

impl Drop for Started {
    fn drop(&mut self) {
        for words in self.0.iter().rev() {
            let _ = Command::new("docker").args(words).output();
        }
    }
}

fn engine(arguments: &[&str]) -> Outcome {
    run(Command::new("docker").args(arguments))
}

#[test]
fn the_images_and_the_compose_file_run_as_written() {
    if !docker() {
        return;
    }
    let world = repository();
    let tag = format!("dbbuild-it-{}", std::process::id());
    let (program, shop, network, db) = (tag.clone(), format!("{tag}-shop"), format!("{tag}-net"), format!("{tag}-db"));
    let mut started = Started(Vec::new());
    let mut undo = |words: [&str; 3]| started.0.push(words.map(str::to_owned));
    // The image of dbbuild, on the image that tests use for PostgreSQL. Nothing of another run's, which may be removed.
    let context = world.home().join("image");
    fs::create_dir(&context).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_dbbuild"), context.join("dbbuild")).unwrap();
    let path = |name: &str| file(name).to_str().unwrap().to_owned();
    let (image, release) = (path("Dockerfile"), path("migrations.Dockerfile"));
    undo(["rmi", "--force", &program]);
    let build = [
        "build",
        "--quiet",
        "--no-cache",
        "-f",
        &image,
        "--build-arg",
        "PACKAGES=",
        "-t",
        &program,
        context.to_str().unwrap(),
    ];
    engine(&build).ok();
    engine(&["run", "--rm", &program, "--version"]).ok().says("dbbuild ");
    engine(&["run", "--rm", "--entrypoint", "id", &program, "-u"]).ok().says("10001");
    engine(&["run", "--rm", "--entrypoint", "pg_dump", &program, "--version"]).ok().says("15.");
    // The image of a release, as the compose file builds it.
    let compose = yaml("compose.yaml");
    let migrate = &compose["services"]["migrate"];
    assert_eq!(migrate["build"]["dockerfile"], "migrations.Dockerfile");
    undo(["rmi", "--force", &shop]);
    let base = format!("DBBUILD={program}");
    let repository = world.path("").to_str().unwrap().to_owned();
    engine(&[
        "build",
        "--quiet",
        "--no-cache",
        "-f",
        &release,
        "--build-arg",
        &base,
        "--build-arg",
        "COMMIT=abc123",
        "-t",
        &shop,
        &repository,
    ])
    .ok();
    prove_as_github_does(&world, &program);
    // Its services: the run begins before the server does.
    engine(&["network", "create", &network]).ok();
    undo(["network", "rm", &network]);
    let variables = |service: &Value| {
        let named = service["environment"].as_object().unwrap().iter();
        let one = |(name, value): (&String, &Value)| {
            let value = value.as_str().unwrap().replace("${DB_PASSWORD:?set DB_PASSWORD}", "s3cret");
            ["--env".to_owned(), format!("{name}={value}")]
        };
        named.flat_map(one).collect::<Vec<String>>()
    };
    let service = &compose["services"]["db"];
    let words = |list: &[String]| list.to_vec();
    let mut run_migrate = words(&["run", "--rm", "--read-only", "--network", &network].map(str::to_owned));
    run_migrate.extend(variables(migrate));
    run_migrate.push(shop.clone());
    run_migrate.extend(texts(&migrate["command"]));
    let mut waiting = Running::start(Command::new("docker").args(&run_migrate));
    waiting.until_says("\"event\":\"waiting\"");
    let mut run_db =
        words(&["run", "--detach", "--name", &db, "--network", &network, "--network-alias", "db"].map(str::to_owned));
    run_db.extend(variables(service));
    run_db.push(service["image"].as_str().unwrap().to_owned());
    undo(["rm", "-fv", &db]);
    run(Command::new("docker").args(run_db)).ok();
    waiting.wait().ok().says("\"event\":\"done\"").says_not("s3cret");
    let sql = "SELECT git_commit || ' ' || pipeline FROM dbbuild.migration";
    engine(&["exec", &db, "psql", "-U", "postgres", "-d", "shop", "-Atc", sql]).ok().says("abc123 compose");
    // A second run of the same release, as a pod has it, has nothing to do.
    run_as_pod(&shop, &network, "postgresql://postgres:s3cret@db/shop").ok().says("\"changed\":false");
}

/// The steps of a job of GitHub run in a container over folders of the runner, which is user 1001; an action writes there,
/// too. The image of the tests has no git, so its one line is left to the runner's home.
fn prove_as_github_does(world: &World, image: &str) {
    let workflow = yaml("github.yaml");
    let (work, home) = (world.home().join("work"), world.home().join("github"));
    let steps = workflow["jobs"]["verify"]["steps"].as_array().unwrap().iter().filter_map(|step| step["run"].as_str());
    let (git, steps): (Vec<&str>, Vec<&str>) = steps.partition(|line| line.starts_with("git "));
    assert_eq!(git, ["git config --global --add safe.directory \"$PWD\""]);
    run(Command::new("cp").arg("-a").arg(world.path("")).arg(&work)).ok();
    fs::create_dir(&home).unwrap();
    fs::write(home.join(".gitconfig"), "[safe]\n\tdirectory = /__w\n").unwrap();
    run(Command::new("chown").args(["-R", "1001:1001"]).args([&work, &home])).ok();
    let mut command = Command::new("docker");
    command.args(["run", "--rm", "--workdir", "/__w", "--env", "HOME=/github/home", "--entrypoint", "sh"]);
    command.arg("-v").arg(format!("{}:/__w", work.display()));
    command.arg("-v").arg(format!("{}:/github/home", home.display()));
    command.args(workflow["jobs"]["verify"]["container"]["options"].as_str().unwrap().split(' '));
    command.args([image, "-ec", &format!("touch /__w/.git/command\n{}", steps.join("\n"))]);
    run(&mut command).ok().says("is proved");
}

/// Runs the container of the Kubernetes job as its manifest confines it.
fn run_as_pod(image: &str, network: &str, url: &str) -> Outcome {
    let manifest = yaml("kubernetes.yaml");
    let pod = &manifest["spec"]["template"]["spec"];
    let (container, user) = (&pod["containers"][0], pod["securityContext"]["runAsUser"].as_str().unwrap());
    let confined = &container["securityContext"];
    let [read_only, escalates] =
        ["readOnlyRootFilesystem", "allowPrivilegeEscalation"].map(|key| confined[key].as_str());
    assert_eq!((read_only, escalates), (Some("true"), Some("false")));
    assert_eq!(texts(&confined["capabilities"]["drop"]), ["ALL"]);
    let mut command = Command::new("docker");
    command.args(["run", "--rm", "--network", network, "--user", user, "--read-only", "--cap-drop", "ALL"]);
    command.args(["--security-opt", "no-new-privileges", "--env", &format!("PRODUCTION_URL={url}"), image]);
    run(command.args(texts(&container["args"])))
}
