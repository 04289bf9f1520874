//! Changesets that stand in a changelog in XML, YAML or JSON, with their SQL in it or in files of their own.

use super::super::changeset::{ChangeSet, ended, with_semicolons};
use super::super::element::Element;
use super::super::formatted::Told;
use super::super::{for_postgresql, precondition};
use super::{Walker, empty};
use crate::error::{Error, Location, Result};

impl Walker<'_> {
    /// Reads a changeset; none where it is not for PostgreSQL, or ignored.
    pub(super) fn changeset(
        &mut self,
        path: &str,
        element: &Element,
        logical: Option<&str>,
        contexts: &[String],
    ) -> Result<Option<ChangeSet>> {
        let fault = |message: String| Error::failed(message).at(Location::new(path, element.line, 0));
        let need = |key: &str| {
            element.get(key).map(str::to_owned).ok_or_else(|| fault(format!("a changeset lacks its `{key}`")))
        };
        let truth =
            |key: &str, usual: bool| element.get(key).map_or(usual, |value| value.trim().eq_ignore_ascii_case("true"));
        let mut set = empty(path, element.line);
        (set.id, set.author) = (need("id")?, need("author")?);
        set.path = element.get("logicalFilePath").or(logical).unwrap_or(path).to_owned();
        set.run_on_change = truth("runOnChange", false);
        set.run_always = truth("runAlways", false);
        set.transaction = truth("runInTransaction", true);
        set.contexts.extend(element.get("contextFilter").or_else(|| element.get("context")).map(str::to_owned));
        set.contexts.extend(contexts.iter().cloned());
        let skipped = match element.get("dbms").filter(|dbms| !for_postgresql(dbms)) {
            Some(dbms) => Some(format!("is for `{dbms}` alone: not carried over")),
            None if truth("ignore", false) => Some("is ignored by Liquibase: not carried over".to_owned()),
            None => None,
        };
        let mut told = Vec::new();
        if let Some(why) = skipped {
            self.tell(path, vec![(element.line, why, "")]);
            return Ok(None);
        }
        for (key, what) in [
            ("labels", "labels are not carried over"),
            ("failOnError", "`failOnError` is not carried over: an error stops dbbuild"),
        ] {
            if element.get(key).is_some_and(|value| value != "true") {
                told.push((element.line, what.to_owned(), ""));
            }
        }
        for child in element
            .children
            .iter()
            .flat_map(|child| if child.name == "changes" { child.children.iter().collect() } else { vec![child] })
        {
            self.change(path, child, &mut set, &mut told)?;
        }
        self.tell(path, told);
        if set.sql.trim().is_empty() {
            set.sql = format!("-- {} by {}: nothing runs here\n", one_line(&set.id), one_line(&set.author));
        }
        Ok(Some(set))
    }

    /// One element inside a changeset.
    fn change(&mut self, path: &str, child: &Element, set: &mut ChangeSet, told: &mut Vec<Told>) -> Result<()> {
        match child.name.as_str() {
            "sql" | "sqlFile" => {
                if child.get("dbms").is_some_and(|dbms| !for_postgresql(dbms)) {
                    told.push((
                        child.line,
                        format!("`{}` is for another kind of database: not carried over", child.name),
                        "",
                    ));
                    set.any_checksum = true;
                    return Ok(());
                }
                let text = self.sql(path, child, set)?;
                set.changes.push(text.clone());
                let split = child.get("splitStatements") != Some("false");
                let text = if split { with_semicolons(&text, child.get("endDelimiter")) } else { text };
                set.sql.push_str(&ended(&text));
            }
            "rollback" => self.rollback(path, child, set, told)?,
            "preConditions" => set.preconditions.extend(precondition::read(path, child, told)?),
            "validCheckSum" => set.any_checksum = true,
            "tagDatabase" => {
                let what = format!("the tag `{}` is not carried over", child.get("tag").unwrap_or_default());
                told.push((child.line, what, ""));
                set.any_checksum = true;
            }
            "empty" | "output" => set.any_checksum = true,
            "modifySql" => {
                return Err(Error::failed("`modifySql` changes what runs")
                    .at(Location::new(path, child.line, 0))
                    .help("write the SQL as it shall be, and convert again"));
            }
            name if ATTRIBUTES.contains(&name) => {}
            name => {
                return Err(Error::failed(format!("the change `{name}` is not SQL"))
                    .at(Location::new(path, child.line, 0))
                    .help("write it as `sql`: `liquibase update-sql` shows what it runs; then convert again"));
            }
        }
        Ok(())
    }

    /// The text of a change in SQL.
    fn sql(&self, path: &str, child: &Element, set: &mut ChangeSet) -> Result<String> {
        let fault = |message: String| Error::failed(message).at(Location::new(path, child.line, 0));
        if child.name == "sql" {
            let text =
                child.attributes.iter().find(|(key, _)| key == "sql").map_or(child.text.as_str(), |(_, text)| text);
            return Ok(text.trim().to_owned());
        }
        let written = child.get("path").ok_or_else(|| fault("`sqlFile` names no path".to_owned()))?;
        if child
            .get("encoding")
            .is_some_and(|encoding| !matches!(encoding.to_ascii_lowercase().as_str(), "utf-8" | "utf8"))
        {
            return Err(fault("its encoding is not UTF-8".to_owned()).help("convert the file to UTF-8"));
        }
        let found =
            self.find(path, child, written, false).map_err(|error| error.at(Location::new(path, child.line, 0)))?;
        let found = found.ok_or_else(|| fault(format!("there is no `{}`", written.escape_debug())))?;
        let file = self.input.get(&found).ok_or_else(|| fault(format!("there is no {found}")))?;
        let text = file.text()?.into_owned();
        set.others.push(found);
        Ok(text)
    }

    fn rollback(&mut self, path: &str, child: &Element, set: &mut ChangeSet, told: &mut Vec<Told>) -> Result<()> {
        if child.get("changeSetId").is_some() {
            let what = "its rollback names another changeset: not carried over";
            told.push((child.line, what.to_owned(), "write a down section that takes it back"));
            return Ok(());
        }
        let mut text = String::new();
        for inner in &child.children {
            match inner.name.as_str() {
                "sql" if child.attributes.iter().any(|(key, _)| key == "sql") => text.push_str(&ended(&inner.text)),
                "sql" | "sqlFile" => text.push_str(&ended(&self.sql(path, inner, set)?)),
                "empty" | "comment" => {}
                other => {
                    let what = format!("`{other}` in its rollback is not SQL: the rollback is not carried over");
                    told.push((inner.line, what, "write a down section that takes it back"));
                    return Ok(());
                }
            }
        }
        if !child.text.trim().is_empty() {
            text.push_str(&ended(child.text.trim()));
        }
        if !text.trim().is_empty() {
            let before = set.rollback.take().unwrap_or_default();
            set.rollback = Some(format!("{before}{text}"));
        }
        Ok(())
    }
}

/// Children that are attributes in XML.
const ATTRIBUTES: &[&str] = &[
    "author",
    "comment",
    "context",
    "contextFilter",
    "created",
    "dbms",
    "failOnError",
    "id",
    "ignore",
    "labels",
    "logicalFilePath",
    "objectQuotingStrategy",
    "onValidationFail",
    "runAlways",
    "runInTransaction",
    "runOnChange",
    "runOrder",
    "runWith",
    "runWithSpoolFile",
];

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
