//! The file: what it says, what is wrong with it, what it makes of a cluster, and how it is written.

use super::*;
use crate::error::Status;

const ENVIRONMENTS: [&str; 2] = ["development", "production"];

fn parsed(text: &str) -> Roles {
    parse(text, "db/roles.toml", &ENVIRONMENTS).unwrap()
}

/// Every fault as `LINE:COLUMN message`.
fn faults(text: &str) -> Vec<String> {
    let error = parse(text, "db/roles.toml", &ENVIRONMENTS).unwrap_err();
    assert_eq!(error.status(), Status::Usage);
    let show = |error: &crate::error::Error| {
        let at = error.location().unwrap();
        format!("{}:{} {} | {}", at.line, at.column, error.message(), error.helps().join(" "))
    };
    std::iter::once(&error).chain(error.others()).map(show).collect()
}

fn fault(text: &str) -> String {
    let all = faults(text);
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().unwrap()
}

#[test]
fn a_whole_file_is_understood() {
    let roles = parsed(
        "prune = true\nheir = \"owner\"\nignore = [\"ops_*\"]\n[role.owner]\ncreaterole = true\n[role.app]\nlogin = true\n\
         inherit = false\nconnection_limit = 5\nvalid_until = 2030-01-31T18:00:00+01:00\ncomment = \"it's ours\"\n\
         environments = [\"production\"]\nmember_of = [\"owner\", { role = \"pg_monitor\", admin = true, set = false }]\n\
         settings = { search_path = [\"$user\", \"shop\"], statement_timeout = \"30s\", jit = false }\n\
         settings_in.shop = { work_mem = \"64MB\" }\npassword = { env = \"APP\" }\n",
    );
    assert!(roles.prune && roles.ignores("ops_1") && roles.ignores("rds_iam") && !roles.ignores("app"));
    let app = &roles.roles["app"];
    assert_eq!(app.attributes, Attributes::from([Attribute::Login]));
    assert_eq!((app.connection_limit, app.valid_until.to_string()), (5, "2030-01-31 17:00:00+00".to_owned()));
    assert!(app.is_for("production") && !app.is_for("development"));
    assert_eq!((app.member_of[1].admin, app.member_of[1].set, app.member_of[1].inherit), (true, false, None));
    assert_eq!(app.settings["search_path"], Setting::List(vec!["$user".to_owned(), "shop".to_owned()]));
    assert_eq!(app.settings["jit"], Setting::Text("off".to_owned()));
    assert_eq!(app.settings_in["shop"]["work_mem"], Setting::Text("64MB".to_owned()));
    assert_eq!(app.password.as_ref().unwrap().0.to_string(), "the environment variable APP");
    assert_eq!(parsed("\u{feff}# only words\n"), Roles::default());
}

#[test]
fn unknown_keys_are_named_with_the_nearest_known_one() {
    assert!(fault("[roles.app]\n").starts_with("1:2 unknown key `roles` | did you mean `role`?"));
    assert!(fault("[role.app]\n\nlogim = true\n").starts_with("3:1 unknown key `logim` | did you mean `login`?"));
    assert!(fault("[role.app]\nmember_of = [{ role = \"a\", admn = true }]\n").contains("did you mean `admin`?"));
    assert!(fault("[role.app]\npassword = { environment = \"A\" }\n").starts_with("2:14 unknown key `environment`"));
    let two = faults("[role.app]\nlogin = \"yes\"\nconnection_limit = -2\n");
    assert!(two[0].contains("2:9 this is a value of type string; wanted is true or false"), "{two:?}");
    assert!(two[1].contains("3:20 a connection limit is a whole number"), "{two:?}");
}

#[test]
fn a_password_in_the_file_is_refused_and_not_repeated() {
    for text in [
        "[role.app]\npassword = \"s3cret\"\n",
        "[role.app]\npassword = 's3cret'\n",
        "[role.app]\npassword = [\"s3cret\"]\n",
        "[role.app]\npassword = { value = \"s3cret\" }\n",
        "[role.app]\npassword = { env = \"A\", file = \"s3cret\" }\n",
        "[role.app]\nlogin = \"s3cret\"\n",
        "[role.app]\npassword = \"s3cret\n",
        "[role.app]\npassword = s3cret\n",
    ] {
        let error = parse(text, "db/roles.toml", &ENVIRONMENTS).unwrap_err();
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        assert_eq!(error.location().unwrap().line, 2, "{error:?}");
    }
    assert!(fault("[role.app]\npassword = \"x\"\n").starts_with("2:12 a password stands in the file itself"));
}

#[test]
fn names_times_and_environments_are_checked() {
    let long = "x".repeat(64);
    for (text, message) in [
        ("[role.pg_mine]\n".to_owned(), "1:7 `pg_mine`: names with pg_ belong to PostgreSQL"),
        ("[role.public]\n".to_owned(), "1:7 no role can be called `public`"),
        ("[role.none]\n".to_owned(), "1:7 no role can be called `none`"),
        ("[role.\"\"]\n".to_owned(), "1:7 a role has no name"),
        (format!("[role.{long}]\n"), "has 64 bytes; PostgreSQL takes 63"),
        ("[role.a]\nvalid_until = \"tomorrow\"\n".to_owned(), "2:15 `tomorrow` is no point in time"),
        ("[role.a]\nenvironments = [\"prodution\"]\n".to_owned(), "did you mean `production`?"),
        ("[role.a]\nenvironments = []\n".to_owned(), "a role for no environment is no role"),
        ("[role.a]\nsettings = { \"a b\" = 1 }\n".to_owned(), "`a b` is not the name of a setting"),
        ("[role.a]\nsettings = { app.tenant = 1 }\n".to_owned(), "stands in quotes, as in \"app.tenant\""),
        ("[role.a]\nsettings = { search_path = \"a b\" }\n".to_owned(), "is a list of names"),
        ("[role.a]\nmember_of = [\"b\", \"b\"]\n".to_owned(), "`b` stands here twice"),
        ("[role.a]\nmember_of = [{ admin = true }]\n".to_owned(), "the key `role` is missing"),
    ] {
        let found = fault(&text);
        assert!(found.contains(message), "{text}: {found}");
    }
}

#[test]
fn a_loop_is_shown_as_a_way() {
    let text = "[role.d]\nmember_of = [\"a\"]\n[role.a]\nmember_of = [\"b\"]\n[role.b]\nmember_of = [\"x\", \"c\"]\n\
                [role.c]\nmember_of = [\"a\"]\n";
    assert!(fault(text).starts_with("3:7 roles are members of each other: a → b → c → a"), "{}", fault(text));
    assert!(fault("[role.a]\nmember_of = [\"a\"]\n").contains("a → a"));
    // Two ways to the same group are no loop.
    parsed(
        "[role.a]\nmember_of = [\"b\", \"c\"]\n[role.b]\nmember_of = [\"d\"]\n[role.c]\nmember_of = [\"d\"]\n[role.d]\n",
    );
}

#[test]
fn moments_compare_without_a_time_zone() {
    let at = |text: &str| Until::parse(text).unwrap();
    assert_eq!(at("2030-01-01 00:00:00+00"), at("2030-01-01T01:00:00+01:00"));
    assert_eq!(at("2030-01-01"), at("2030-01-01 00:00:00"));
    assert_eq!(at("2030-01-01 05:30:00.5+05:30").to_string(), "2030-01-01 00:00:00.5+00");
    assert_eq!((at("Infinity"), Until::Forever.to_string()), (Until::Forever, "infinity".to_owned()));
    assert_eq!(at("9999-12-31 23:59:59"), Until::At(253_402_300_799_000_000));
    assert_eq!(at("9999-12-31T23:59:59.5Z").to_string(), "9999-12-31 23:59:59.5+00");
    assert_eq!((at("2030-01-01T00:00Z"), at("-infinity").to_string()), (at("2030-01-01"), "-infinity".to_owned()));
    for bad in [
        "",
        "2030",
        "2030-13-01",
        "1 Jan 2030",
        "2030-01-01 00:00[Europe/Berlin]",
        "18:00",
        "2030-01-01 24:00",
        "9999-12-31 23:59:59-05",
    ] {
        assert_eq!(Until::parse(bad), None, "{bad}");
    }
}

#[test]
fn lists_of_names_are_read_as_the_server_writes_them() {
    let list = |text: &str| match Setting::of_text("search_path", text) {
        Some(Setting::List(items)) => Some(items.join("|")),
        _ => None,
    };
    for (text, items) in [
        ("\"$user\", public", Some("$user|public")),
        ("a,b , \"c,\"\"d\"", Some("a|b|c,\"d")),
        ("\"\"", Some("")),
        ("", Some("")),
        ("a b", None),
        ("a,", None),
        ("\"a", None),
    ] {
        assert_eq!(list(text).as_deref(), items, "{text}");
    }
    assert_eq!(Setting::of_items("DateStyle", vec!["ISO".into(), "DMY".into()]), Setting::Text("ISO, DMY".to_owned()));
}

#[test]
fn patterns_fit_whole_names() {
    for (pattern, name, fits) in [
        ("rds*", "rdsadmin", true),
        ("rds*", "myrds", false),
        ("*_ro", "a_ro", true),
        ("?", "é", true),
        ("", "a", false),
    ] {
        assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
    }
}

fn superuser(major: u32) -> Cluster {
    let me = Me {
        name: "postgres".to_owned(),
        session: "postgres".to_owned(),
        attributes: Attributes::from([Attribute::Superuser]),
        ..Me::default()
    };
    let databases = BTreeMap::from([("shop".to_owned(), "owner".to_owned())]);
    Cluster { major, database: "shop".to_owned(), databases, me, ..Cluster::default() }
}

fn found(attributes: &[Attribute]) -> Found {
    Found { attributes: attributes.iter().copied().collect(), connection_limit: -1, ..Found::default() }
}

fn compare(text: &str, cluster: &Cluster) -> crate::error::Result<Difference> {
    let roles = parsed(text);
    let none = BTreeSet::new();
    let wish = Wish { roles: &roles, environment: "production", passwords: &none, named: &none, owner: None };
    difference(&wish, cluster)
}

fn statements(text: &str, cluster: &Cluster) -> Vec<String> {
    compare(text, cluster).unwrap().changes.into_iter().map(|change| change.sql).collect()
}

fn row(group: &str, member: &str, grantor: &str, options: [bool; 3]) -> Granted {
    let [admin, inherit, set] = options;
    let grantor = Some(grantor.to_owned());
    Granted { group: group.to_owned(), member: member.to_owned(), grantor, admin, inherit, set, implicit: false }
}

#[test]
fn everything_is_made_before_it_is_granted() {
    let text = "[role.app]\nlogin = true\nmember_of = [\"z\"]\ncomment = \"it's\"\nsettings = { search_path = \"a, b\" }\n\
                settings_in.shop = { jit = false }\nsettings_in.other = { jit = false }\n[role.z]\n";
    assert_eq!(
        statements(text, &superuser(15)),
        [
            "CREATE ROLE \"app\" LOGIN",
            "CREATE ROLE \"z\"",
            "GRANT \"z\" TO \"app\"",
            "ALTER ROLE \"app\" SET search_path = 'a', 'b'",
            "ALTER ROLE \"app\" IN DATABASE \"shop\" SET jit = 'off'",
            "COMMENT ON ROLE \"app\" IS 'it''s'",
        ]
    );
    assert_eq!(statements(text, &superuser(16))[2], "GRANT \"z\" TO \"app\" WITH ADMIN FALSE, INHERIT TRUE, SET TRUE");
    assert!(compare(text, &superuser(15)).unwrap().notes[0].contains("no database `other`"));
}

#[test]
fn what_is_as_it_should_be_gives_nothing() {
    let mut cluster = superuser(16);
    cluster.roles.insert("a".to_owned(), found(&[Attribute::Inherit]));
    cluster.roles.insert("b".to_owned(), found(&[Attribute::Inherit]));
    cluster.memberships = vec![row("b", "a", "x", [false, true, false]), row("b", "a", "y", [false, false, true])];
    let text = "[role.a]\nmember_of = [\"b\"]\nvalid_until = \"infinity\"\n[role.b]\n";
    assert_eq!(statements(text, &cluster), [""; 0]);
    // What the maker of a role has by itself is nobody's business.
    cluster.memberships = vec![Granted { implicit: true, ..row("b", "a", "postgres", [true, false, false]) }];
    assert_eq!(statements("[role.a]\n[role.b]\n", &cluster), [""; 0]);
    let member = "[role.a]\nmember_of = [\"b\"]\n[role.b]\n";
    assert_eq!(statements(member, &cluster), ["GRANT \"b\" TO \"a\" WITH ADMIN FALSE, INHERIT TRUE, SET TRUE"]);
    let both = "[role.a]\nmember_of = [{ role = \"b\", admin = true }]\n[role.b]\n";
    assert_eq!(statements(both, &cluster), ["GRANT \"b\" TO \"a\" WITH ADMIN TRUE, INHERIT TRUE, SET TRUE"]);
    // Another grantor's row stands beside it, and both count.
    cluster.memberships.push(row("b", "a", "x", [false, true, true]));
    assert_eq!(statements(member, &cluster), [""; 0]);
    assert_eq!(statements(both, &cluster), [""; 0]);
    let swapped = "[role.a]\n[role.b]\nmember_of = [{ role = \"a\", admin = true, set = false }]\n";
    cluster.memberships = vec![row("b", "a", "x", [false, true, true])];
    assert_eq!(
        statements(swapped, &cluster),
        ["REVOKE \"b\" FROM \"a\" GRANTED BY \"x\"", "GRANT \"a\" TO \"b\" WITH ADMIN TRUE, INHERIT TRUE, SET FALSE"]
    );
}

#[test]
fn options_of_single_memberships_are_refused_by_15() {
    let text = "[role.a]\nmember_of = [{ role = \"b\", inherit = false }]\n[role.b]\n";
    let error = compare(text, &superuser(15)).unwrap_err();
    assert!(error.message().contains("PostgreSQL 15 has no option inherit"), "{error}");
    assert!(compare(text, &superuser(16)).is_ok());
}

#[test]
fn a_group_that_is_nowhere_is_named() {
    let error = compare("[role.app]\nmember_of = [\"rds_iam\"]\n", &superuser(15)).unwrap_err();
    assert_eq!(error.status(), Status::Failed);
    assert!(error.message().contains("`rds_iam`, which is not declared and not on the server"), "{error}");
    assert_eq!(error.location().unwrap().line, 2);
    let text = "[role.app]\nmember_of = [\"g\"]\n[role.g]\nenvironments = [\"development\"]\n";
    assert!(compare(text, &superuser(15)).unwrap_err().message().contains("not declared for production"));
}

#[test]
fn a_role_without_power_is_told_before_anything_runs() {
    let refusals = |text: &str, cluster: &Cluster| match compare(text, cluster) {
        Ok(_) => Vec::new(),
        Err(e) => {
            std::iter::once(&e).chain(e.others()).map(|e| format!("{}: {}", e.message(), e.causes()[0])).collect()
        }
    };
    let mut cluster = superuser(15);
    cluster.me.attributes = Attributes::from([Attribute::Createrole]);
    cluster.me.name = "ops".to_owned();
    let text = "[role.a]\nsuperuser = true\nreplication = true\ncreatedb = true\nbypassrls = true\n";
    assert_eq!(refusals(text, &cluster).len(), 3);
    assert!(
        refusals(text, &cluster)[0].contains("`ops` may not set SUPERUSER of `a`: in PostgreSQL 15 only a superuser")
    );
    cluster.major = 16;
    assert_eq!(refusals(text, &cluster).len(), 4);
    cluster.me.attributes.extend([Attribute::Createdb, Attribute::Replication]);
    assert_eq!(refusals(text, &cluster).len(), 2);
    // From 16 on it takes ADMIN OPTION on what is there already.
    cluster.roles.insert("old".to_owned(), found(&[Attribute::Inherit]));
    let text = "[role.old]\nconnection_limit = 3\n[role.a]\nmember_of = [\"old\", \"new\"]\n[role.new]\n";
    assert_eq!(refusals(text, &cluster).len(), 2);
    cluster.me.admin_of.insert("old".to_owned());
    assert_eq!(refusals(text, &cluster), [""; 0]);
    let settings = |name: &str| format!("[role.a]\nsettings = {{ {name} = 1 }}\n");
    let known = [("port", May::Never), ("jit", May::Set), ("log_statement", May::Restricted)];
    cluster.me.settings = known.map(|(name, may)| (name.to_owned(), may)).into();
    for (name, why) in [
        ("port", "`ops` may not set port for `a`: it is a setting of the server"),
        ("log_statement", "only a superuser, or who was granted SET on it, may"),
        ("\"my.x\"", "one that the server does not know sets only a superuser"),
    ] {
        assert!(refusals(&settings(name), &cluster)[0].contains(why), "{name}");
    }
    for name in ["jit", "role"] {
        assert_eq!(refusals(&settings(name), &cluster), [""; 0], "{name}");
    }
    cluster.me.attributes.clear();
    assert!(refusals(text, &cluster)[0].contains("neither SUPERUSER nor CREATEROLE"));
    cluster.me.attributes = Attributes::from([Attribute::Superuser]);
    assert_eq!(refusals(&settings("\"my.x\""), &cluster), [""; 0]);
    assert_eq!(refusals(&settings("port"), &cluster).len(), 1);
}

#[test]
fn nobody_takes_power_from_itself() {
    let mut cluster = superuser(15);
    cluster.roles.insert("ops".to_owned(), found(&[Attribute::Inherit, Attribute::Login, Attribute::Createrole]));
    cluster.me.name = "ops".to_owned();
    cluster.me.attributes = Attributes::from([Attribute::Login, Attribute::Createrole]);
    let error = compare("[role.ops]\nlogin = true\n", &cluster).unwrap_err();
    assert!(error.message().contains("`ops`, would lose createrole"), "{error}");
}

#[test]
fn undeclared_roles_go_only_where_the_file_says_so() {
    let mut cluster = superuser(15);
    for name in ["old", "owner", "rds_admin", "kept", "named"] {
        cluster.roles.insert(name.to_owned(), found(&[Attribute::Inherit]));
    }
    cluster.roles.insert("postgres".to_owned(), Found { system: true, ..found(&[Attribute::Superuser]) });
    let holds = [None, Some("shop".to_owned()), Some("crm".to_owned())];
    cluster.roles.get_mut("old").unwrap().holds_in = holds.into();
    cluster.databases.insert("crm".to_owned(), "old".to_owned());
    let text = "[role.owner]\n[role.kept]\nenvironments = [\"development\"]\n";
    let report = compare(text, &cluster).unwrap();
    assert_eq!((report.changes.len(), report.undeclared.join(" ")), (0, "named old".to_owned()));
    let roles = parsed(&format!("prune = true\n{text}"));
    let (none, named) = (BTreeSet::new(), BTreeSet::from(["named".to_owned()]));
    let wish = Wish { roles: &roles, environment: "production", passwords: &none, named: &named, owner: None };
    let report = difference(&wish, &cluster).unwrap();
    let shown: Vec<String> = report
        .changes
        .iter()
        .map(|change| format!("{}: {}", change.database.as_deref().unwrap_or("here"), change.sql))
        .collect();
    assert_eq!(
        shown,
        [
            "crm: REASSIGN OWNED BY \"old\" TO \"postgres\"",
            "crm: DROP OWNED BY \"old\"",
            "here: REASSIGN OWNED BY \"old\" TO \"owner\"",
            "here: DROP OWNED BY \"old\"",
            "here: DROP ROLE \"old\"",
        ]
    );
    assert_eq!(report.undeclared.join(" "), "named");
}

#[test]
fn whoever_runs_migrations_stays_and_a_database_goes_to_its_own_heir() {
    let mut cluster = superuser(16);
    for name in ["old", "owner", "runner"] {
        cluster.roles.insert(name.to_owned(), found(&[Attribute::Inherit]));
    }
    cluster.roles.insert("postgres".to_owned(), Found { system: true, ..found(&[Attribute::Superuser]) });
    cluster.roles.get_mut("old").unwrap().holds_in = [None, Some("crm".to_owned())].into();
    let databases = [("crm", "owner"), ("mine", "old"), ("shop", "postgres")];
    cluster.databases = databases.map(|(name, owner)| (name.to_owned(), owner.to_owned())).into();
    let shown = |text: &str, owner: Option<&str>| {
        let (roles, none) = (parsed(text), BTreeSet::new());
        let wish = Wish { roles: &roles, environment: "production", passwords: &none, named: &none, owner };
        let found = difference(&wish, &cluster).unwrap();
        (found.changes.into_iter().map(|change| change.sql).collect::<Vec<_>>().join("; "), found.undeclared.join(" "))
    };
    let (changes, undeclared) = shown("prune = true\nheir = \"owner\"\n[role.other]\n", Some("runner"));
    assert_eq!(undeclared, "owner runner");
    assert!(changes.contains("DROP ROLE \"old\"") && !changes.contains("ALTER DATABASE"), "{changes}");
    let (changes, _) = shown("prune = true\n[role.owner]\n[role.runner]\n", None);
    let first =
        "ALTER DATABASE \"mine\" OWNER TO \"postgres\"; REASSIGN OWNED BY \"old\" TO \"owner\"; DROP OWNED BY \"old\"";
    assert!(changes.starts_with(first) && changes.matches("ALTER DATABASE").count() == 1, "{changes}");
}

#[test]
fn what_hangs_on_what_goes_is_granted_anew() {
    let mut cluster = superuser(16);
    for name in ["a", "b", "free", "g", "m", "old"] {
        cluster.roles.insert(name.to_owned(), found(&[Attribute::Inherit]));
    }
    cluster.memberships = vec![
        row("g", "old", "postgres", [true, true, true]),
        row("g", "a", "old", [false, true, true]),
        row("g", "b", "postgres", [false, true, true]),
        row("g", "b", "old", [false, true, true]),
        row("g", "free", "old", [false, false, true]),
        row("g", "free", "m", [true, true, true]),
        row("g", "m", "postgres", [true, true, true]),
    ];
    let text = "prune = true\nignore = [\"free\"]\n[role.a]\nmember_of = [\"g\"]\n[role.b]\nmember_of = [\"g\"]\n[role.g]\n[role.m]\n";
    assert_eq!(
        statements(text, &cluster),
        [
            "REVOKE \"g\" FROM \"m\" GRANTED BY \"postgres\" CASCADE",
            "GRANT \"g\" TO \"a\" WITH ADMIN FALSE, INHERIT TRUE, SET TRUE",
            "GRANT \"g\" TO \"free\" WITH ADMIN TRUE, INHERIT TRUE, SET TRUE",
            "DROP ROLE \"old\"",
        ]
    );
    // While somebody else's ADMIN OPTION stays, nothing falls.
    cluster.memberships.push(Granted { implicit: true, ..row("g", "m", "postgres", [true, false, false]) });
    let found = statements(text, &cluster);
    assert_eq!(found[0], "REVOKE \"g\" FROM \"m\" GRANTED BY \"postgres\"");
    // Up to 15 nothing hangs on a grantor.
    cluster.major = 15;
    cluster.memberships.pop();
    assert_eq!(statements(text, &cluster), ["REVOKE \"g\" FROM \"m\"", "DROP ROLE \"old\""]);
}

#[test]
fn what_is_written_is_read_back_and_comments_stay() {
    let mut cluster = superuser(16);
    let mut app = found(&[Attribute::Login]);
    app.settings.insert("search_path".to_owned(), Setting::List(vec!["a".to_owned(), "B,".to_owned()]));
    app.settings_in.insert("shop".to_owned(), BTreeMap::from([("jit".to_owned(), Setting::Text("off".to_owned()))]));
    app.valid_until = Until::At(1_893_456_000_000_000);
    app.comment = Some("the \"app\"".to_owned());
    cluster.roles.insert("app".to_owned(), app);
    cluster.roles.insert("odd \"one\"".to_owned(), found(&[Attribute::Inherit]));
    cluster.roles.insert("new".to_owned(), found(&[Attribute::Inherit, Attribute::Login]));
    cluster.memberships = vec![row("odd \"one\"", "app", "postgres", [true, false, false])];
    let old = "# about\nprune = false\n\n# the application\n[role.app] # here\nlogin = false # soon\n\n# theirs\n\
               [role.elsewhere]\nenvironments = [\"development\"]\n";
    let all: Vec<Role> = cluster.roles.keys().filter_map(|name| cluster.declared(name)).collect();
    let written = write(old, &parsed(old), &all, "production").unwrap();
    assert!(
        written
            .text
            .starts_with("# about\nprune = false\n\n# the application\n[role.app] # here\nlogin = true # soon\n")
    );
    assert!(written.text.contains("# theirs\n[role.elsewhere]"), "{}", written.text);
    assert!(written.text.ends_with("[role.'odd \"one\"']\n"), "{}", written.text);
    assert!(
        written.text.contains("[role.new]\nlogin = true\n# password = { env = \"NEW_PASSWORD\" }\n"),
        "{}",
        written.text
    );
    let elsewhere = "[role.elsewhere]\nenvironments = [\"development\"]\n";
    assert!(written.text.contains(elsewhere));
    assert_eq!(statements(&written.text, &cluster), [""; 0], "{}", written.text);
    let again = write(&written.text, &parsed(&written.text), &all, "production").unwrap();
    assert_eq!((again.text, again.changed.len(), again.added.len()), (written.text, 0, 0));
    let blank = write("# about\n#\n# [role.x]\n", &Roles::default(), &all[..1], "production").unwrap();
    assert!(blank.text.starts_with("# about\n#\n# [role.x]\n\n[role.app]\nlogin = true\n"), "{}", blank.text);
}
