//! What is no migration: repeatable scripts, callbacks, and what the configuration says besides.

use super::{Converter, Script, file_name, history, part, text, variable};
use crate::model::directive::FileKind;
use crate::model::import::{Key, Remark, ScriptPiece, Setting, names};

use super::name::Kind;
use crate::model::sql::{identifier, qualified};

impl<'a> Converter<'a> {
    pub(super) fn repeatable(&mut self, mut scripts: Vec<Script<'a>>) {
        scripts.sort_by_key(|script| script.named.description.replace('_', " "));
        for pair in scripts.windows(2).filter(|pair| pair[0].named.description == pair[1].named.description) {
            self.faults.push(pair[1].file.fault(format!("has the description of {}", pair[0].file.path)));
        }
        let names =
            names::in_order(scripts.iter().map(|script| format!("{}.sql", file_name(&script.named.description))));
        for (script, name) in scripts.into_iter().zip(names) {
            let replaced = if script.text == script.original {
                Some(script.original.clone())
            } else {
                self.placeholders.replaced(&script.original)
            };
            // A checksum that fits nothing lets the script run once more, which it is made for.
            let checksum = replaced.map_or_else(|| "unknown".to_owned(), |text| text::checksum(&text));
            let key = format!("R {}", script.named.description.replace('_', " "));
            self.script_piece(&script, name, Vec::new(), vec![Key { key, checksum: Some(checksum) }]);
        }
    }

    pub(super) fn callbacks(&mut self, scripts: Vec<Script<'a>>) {
        for script in scripts {
            let Kind::Callback(event) = script.named.kind else { continue };
            if !matches!(event, "afterMigrate" | "afterMigrateApplied") {
                let what = format!("runs at `{event}`: not carried over");
                self.out.remarks.push(Remark::file(script.file.path, what, callback_help(event)));
                continue;
            }
            // Behind everything else, as in Flyway.
            let last = self.out.scripts.last().map(|piece| format!("after {}", piece.name));
            let mut header: Vec<String> = last.into_iter().collect();
            if event == "afterMigrate" {
                header.push("run always".to_owned());
            }
            let description = file_name(&script.named.description);
            let name = if script.named.description.is_empty() {
                format!("{event}.sql")
            } else {
                format!("{event}_{description}.sql")
            };
            self.script_piece(&script, name, header, Vec::new());
        }
    }

    fn script_piece(&mut self, script: &Script, name: String, mut header: Vec<String>, keys: Vec<Key>) {
        header.extend(self.header(script));
        if !script.transaction {
            let what = "runs outside a transaction in Flyway, and in one in dbbuild";
            self.out.remarks.push(Remark::file(script.file.path, what, ""));
        }
        let front: String = header.iter().map(|line| format!("-- dbbuild:{line}\n")).collect();
        let front = format!("{front}{}", self.search_path());
        let text = part(script, &front).bytes;
        let origins = script.origins.clone();
        self.out.scripts.push(ScriptPiece { kind: FileKind::Repeatable, name, text, origins, keys });
    }

    /// What the configuration says, and what of it is lost.
    pub(super) fn configured(&mut self) {
        for (name, value) in &self.placeholders.used {
            let from = || toml::Table::from_iter([("env".to_owned(), toml::Value::String(variable(name)))]);
            let value = value.clone().map_or_else(|| toml::Value::Table(from()), toml::Value::String);
            self.out.settings.push(Setting { key: format!("placeholders.{name}"), value, why: None });
        }
        if let Some(schema) = self.schemas().first() {
            let table = self.conf.get("table").unwrap_or(history::TABLE);
            self.out.table = Some(qualified(schema, table));
        } else {
            self.out.table = self.conf.get("table").filter(|table| *table != history::TABLE).map(identifier);
        }
        for (key, line, what, help) in self.conf.lost() {
            self.out.remarks.push(Remark::line(&self.conf.path, line, format!("`{key}` {what}"), help));
        }
        if !self.conf.path.is_empty() {
            let what = "was read for locations, names, schemas and placeholders; addresses and users stay there";
            self.out.remarks.push(Remark::file(&self.conf.path, what, ""));
        }
    }
}

fn callback_help(event: &str) -> &'static str {
    match event {
        "beforeMigrate" | "beforeEachMigrate" | "beforeConnect" | "afterConnect" => {
            "settings belong into ALTER DATABASE … SET or ALTER ROLE … SET, objects into a migration"
        }
        "afterEachMigrate" | "afterVersioned" | "beforeRepeatables" => {
            "what it does may stand in a file of db/repeatable"
        }
        _ => "",
    }
}
