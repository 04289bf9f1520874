//! Which run of a pipeline this is, who started it and for which commit, as pipelines tell it by their environment.
//!
//! It trusts what they say: whoever may start dbbuild may also set variables.

use super::conninfo::Environ;

/// What a pipeline tells of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The address or name of the run.
    pub pipeline: Option<String>,
    /// The account that started it.
    pub by: Option<String>,
    /// The commit that it runs for.
    pub commit: Option<String>,
}

/// A pipeline: the variable that tells that it runs, its address with variables in braces, who started it, its commit.
struct Known {
    sign: &'static str,
    address: &'static [&'static str],
    by: &'static [&'static str],
    commit: &'static [&'static str],
}

const KNOWN: [Known; 7] = [
    // Gitea and Forgejo set the same.
    Known {
        sign: "GITHUB_ACTIONS",
        address: &["{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}"],
        by: &["GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR"],
        commit: &["GITHUB_SHA"],
    },
    Known {
        sign: "GITLAB_CI",
        address: &["{CI_JOB_URL}", "{CI_PIPELINE_URL}"],
        by: &["GITLAB_USER_LOGIN", "GITLAB_USER_NAME"],
        commit: &["CI_COMMIT_SHA"],
    },
    Known {
        sign: "BUILDKITE",
        address: &["{BUILDKITE_BUILD_URL}#{BUILDKITE_JOB_ID}", "{BUILDKITE_BUILD_URL}"],
        by: &["BUILDKITE_BUILD_CREATOR"],
        commit: &["BUILDKITE_COMMIT"],
    },
    Known { sign: "CIRCLECI", address: &["{CIRCLE_BUILD_URL}"], by: &["CIRCLE_USERNAME"], commit: &["CIRCLE_SHA1"] },
    Known {
        sign: "TF_BUILD",
        address: &["{SYSTEM_COLLECTIONURI}{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}"],
        by: &["BUILD_REQUESTEDFOR"],
        commit: &["BUILD_SOURCEVERSION"],
    },
    Known {
        sign: "JENKINS_URL",
        address: &["{BUILD_URL}", "{JOB_NAME} {BUILD_NUMBER}"],
        by: &["BUILD_USER_ID", "BUILD_USER"],
        commit: &["GIT_COMMIT"],
    },
    // The names that the manual of the downward API uses; a pod's host name is its own.
    Known {
        sign: "KUBERNETES_SERVICE_HOST",
        address: &["kubernetes {POD_NAMESPACE}/{POD_NAME}", "kubernetes {POD_NAME}", "kubernetes {HOSTNAME}"],
        by: &[],
        commit: &[],
    },
];

impl Provenance {
    /// Reads the variables of the process.
    pub fn of(environ: &Environ) -> Provenance {
        let set = |name: &str| environ.get(name).filter(|value| !value.is_empty());
        let mut found = Provenance::default();
        // A runner inside Kubernetes is first of all a runner.
        for known in KNOWN.iter().filter(|known| set(known.sign).is_some()) {
            let first = |names: &[&str]| names.iter().find_map(|name| set(name)).map(str::to_owned);
            let address = || known.address.iter().find_map(|form| fill(form, &set));
            found.pipeline = found.pipeline.or_else(address).map(|text| clickable(without_account(&text)));
            found.by = found.by.or_else(|| first(known.by));
            found.commit = found.commit.or_else(|| first(known.commit));
        }
        found
    }
}

/// Puts variables in the place of braces; `None` where one is not set.
fn fill<'v>(form: &str, value: &dyn Fn(&str) -> Option<&'v str>) -> Option<String> {
    let mut out = String::new();
    let mut rest = form;
    while let Some((before, from)) = rest.split_once('{') {
        let (name, after) = from.split_once('}')?;
        out.push_str(before);
        out.push_str(value(name)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// An address whose parts may hold spaces, as names of projects do.
fn clickable(text: String) -> String {
    if text.contains("://") { text.replace(' ', "%20") } else { text }
}

/// An address without the user and password that may stand in it.
pub fn without_account(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest.get(..end).and_then(|host| host.rfind('@')) {
        Some(at) => format!("{scheme}://{}", rest.get(at + 1..).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variables: &[(&str, &str)], pipeline: Option<&str>, by: Option<&str>, commit: Option<&str>) {
        let found = Provenance::of(&variables.iter().copied().collect());
        assert_eq!((found.pipeline.as_deref(), found.by.as_deref(), found.commit.as_deref()), (pipeline, by, commit));
    }

    #[test]
    fn pipelines_are_known_by_their_variables() {
        check(&[], None, None, None);
        check(
            &[
                ("GITHUB_ACTIONS", "true"),
                ("GITHUB_SERVER_URL", "https://github.com"),
                ("GITHUB_REPOSITORY", "shop/shop"),
                ("GITHUB_RUN_ID", "42"),
                ("GITHUB_ACTOR", "ada"),
                ("GITHUB_SHA", "abc"),
                ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
                ("HOSTNAME", "runner-1"),
            ],
            Some("https://github.com/shop/shop/actions/runs/42"),
            Some("ada"),
            Some("abc"),
        );
        check(
            &[
                ("GITLAB_CI", "true"),
                ("CI_JOB_URL", "https://ci:token@gitlab.example.com/shop/-/jobs/7"),
                ("GITLAB_USER_LOGIN", "grace"),
                ("CI_COMMIT_SHA", "def"),
            ],
            Some("https://gitlab.example.com/shop/-/jobs/7"),
            Some("grace"),
            Some("def"),
        );
        check(
            &[
                ("TF_BUILD", "True"),
                ("SYSTEM_COLLECTIONURI", "https://dev.azure.com/shop/"),
                ("SYSTEM_TEAMPROJECT", "Our Shop"),
                ("BUILD_BUILDID", "5"),
                ("BUILD_REQUESTEDFOR", "Ada L"),
            ],
            Some("https://dev.azure.com/shop/Our%20Shop/_build/results?buildId=5"),
            Some("Ada L"),
            None,
        );
        check(&[("JENKINS_URL", "x"), ("JOB_NAME", "shop"), ("BUILD_NUMBER", "9")], Some("shop 9"), None, None);
        check(
            &[("BUILDKITE", "true"), ("BUILDKITE_BUILD_URL", "https://b.example/1"), ("BUILDKITE_COMMIT", "")],
            Some("https://b.example/1"),
            None,
            None,
        );
        let pod = [("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("POD_NAMESPACE", "shop"), ("POD_NAME", "migrate-x")];
        check(&pod, Some("kubernetes shop/migrate-x"), None, None);
        check(&[("GITHUB_SHA", "of another program"), ("BUILD_URL", "x")], None, None, None);
    }

    #[test]
    fn no_password_of_an_address_is_kept() {
        for (text, wanted) in [
            ("https://a:b@host/x", "https://host/x"),
            ("https://host/x@y", "https://host/x@y"),
            ("https://a:b@host", "https://host"),
            ("nightly 3 by a@b", "nightly 3 by a@b"),
        ] {
            assert_eq!(without_account(text), wanted);
        }
    }
}
