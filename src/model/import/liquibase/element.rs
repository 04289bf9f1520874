//! A changelog in XML, YAML or JSON as one kind of tree, with the line of everything.
//!
//! Nothing outside the text is looked at. A document type, and with it every entity of its own, is refused in XML; an
//! alias is refused in YAML: a changelog needs neither, and both can make a small file a huge one.

use saphyr_parser::{Event, Parser, Span};

use crate::error::{Error, Location, Result};

/// A named thing: an element of XML, or a key of YAML with its value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name without prefix.
    pub name: String,
    /// Its line.
    pub line: usize,
    /// Attributes, or keys with a plain value.
    pub attributes: Vec<(String, String)>,
    /// Text of its own.
    pub text: String,
    /// Everything inside, in order.
    pub children: Vec<Element>,
}

impl Element {
    /// An attribute, or the text of a child of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let attribute = self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        attribute.or_else(|| self.children.iter().find(|child| child.name == name).map(|child| child.text.as_str()))
    }
}

/// How deep anything may lie in another.
const DEEPEST: usize = 64;

/// Reads a changelog: its root. The ending of the path says what it is.
pub fn parse(path: &str, text: &str) -> Result<Element> {
    let root = if path.to_ascii_lowercase().ends_with(".xml") { xml(path, text)? } else { yaml(path, text)? };
    let Some(root) = root.filter(|root| root.name == "databaseChangeLog") else {
        return Err(Error::failed("holds no databaseChangeLog").at(Location::file(path)));
    };
    Ok(root)
}

fn xml(path: &str, text: &str) -> Result<Option<Element>> {
    let document = roxmltree::Document::parse(text).map_err(|error| match error {
        roxmltree::Error::DtdDetected => {
            let line = text.find("<!DOCTYPE").map_or(1, |at| text[..at].matches('\n').count() + 1);
            Error::failed(
                "declares a document type: it is not read, since entities may name other files or grow without end",
            )
            .at(Location::new(path, line, 0))
            .help("a changelog needs none: take the declaration out")
        }
        other => Error::failed("is not XML").at(Location::new(path, other.pos().row as usize, 0)).cause(other),
    })?;
    element_of(path, &document, document.root_element(), 0).map(Some)
}

fn element_of(path: &str, document: &roxmltree::Document, node: roxmltree::Node, depth: usize) -> Result<Element> {
    let line = document.text_pos_at(node.range().start).row as usize;
    if depth > DEEPEST {
        return Err(Error::failed("is nested too deep").at(Location::new(path, line, 0)));
    }
    let inner = node.children().filter(roxmltree::Node::is_element);
    let text: String = node.children().filter(|node| node.is_text()).filter_map(|node| node.text()).collect();
    Ok(Element {
        name: node.tag_name().name().to_owned(),
        line,
        attributes: node.attributes().map(|a| (a.name().to_owned(), a.value().to_owned())).collect(),
        text,
        children: inner.map(|node| element_of(path, document, node, depth + 1)).collect::<Result<_>>()?,
    })
}

struct Reader<'a> {
    path: &'a str,
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
}

fn yaml(path: &str, text: &str) -> Result<Option<Element>> {
    let mut reader = Reader { path, events: Parser::new_from_str(text) };
    loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(_), _) => {}
            (event @ Event::MappingStart(..), span) => {
                let mut root = Element::default();
                reader.value(&mut root, event, &span, 0)?;
                // Anything behind would be a second document, which Liquibase does not read.
                return Ok(root.children.into_iter().next());
            }
            _ => return Ok(None),
        }
    }
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span)> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Error::failed("is not YAML")
                .at(Location::new(self.path, error.marker().line(), 0))
                .cause(error.info())),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    /// Puts a value into the element that it belongs to: a text, keys, or a list of either.
    fn value(&mut self, into: &mut Element, event: Event<'a>, span: &Span, depth: usize) -> Result<()> {
        let line = span.start.line();
        let fault = |message: &str| Error::failed(message).at(Location::new(self.path, line, 0));
        if depth > DEEPEST {
            return Err(fault("is nested too deep"));
        }
        match event {
            Event::Scalar(text, ..) => {
                if !into.text.is_empty() {
                    into.text.push('\n');
                }
                into.text.push_str(&text);
            }
            Event::Alias(_) => {
                return Err(fault("an alias is not read, since aliases of aliases can grow without end")
                    .help("write out what it stands for"));
            }
            Event::SequenceStart(..) => loop {
                match self.next()? {
                    (Event::SequenceEnd | Event::StreamEnd, _) => break,
                    (event, span) => self.value(into, event, &span, depth + 1)?,
                }
            },
            Event::MappingStart(..) => loop {
                let (event, span) = self.next()?;
                let name = match event {
                    Event::MappingEnd | Event::StreamEnd => break,
                    Event::Scalar(text, ..) => text.into_owned(),
                    _ => {
                        return Err(Error::failed("a key is no text").at(Location::new(
                            self.path,
                            span.start.line(),
                            0,
                        )));
                    }
                };
                let mut child = Element { name, line: span.start.line(), ..Element::default() };
                let (event, span) = self.next()?;
                let plain = matches!(event, Event::Scalar(..));
                self.value(&mut child, event, &span, depth + 1)?;
                if plain {
                    into.attributes.push((child.name.clone(), child.text.clone()));
                }
                into.children.push(child);
            },
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_formats_say_the_same() {
        let yaml = "databaseChangeLog:\n- include:\n    file: a.sql\n- changeSet:\n    id: 7\n    changes:\n    - sql:\n        sql: select 1\n";
        let json = "{ \"databaseChangeLog\": [\n {\"include\": {\"file\": \"a.sql\"}},\n {\"changeSet\": {\"id\": 7,\n \"changes\": [{\"sql\": {\"sql\": \"select 1\"}}]}}]}";
        let xml = "<?xml version=\"1.0\"?>\n<databaseChangeLog xmlns=\"http://www.liquibase.org/xml/ns/dbchangelog\">\n<include file=\"a.sql\"/>\n<changeSet id=\"7\"><sql>select 1</sql></changeSet></databaseChangeLog>";
        for (path, text, line) in [("a.yaml", yaml, 2), ("a.json", json, 2), ("a.xml", xml, 3)] {
            let elements = parse(path, text).unwrap().children;
            assert_eq!(elements[0].get("file"), Some("a.sql"), "{path}");
            assert_eq!((elements[0].line, elements[1].get("id")), (line, Some("7")), "{path}");
        }
    }

    #[test]
    fn what_grows_or_reads_elsewhere_is_refused_with_its_line() {
        let deep = format!("databaseChangeLog: {}", "[".repeat(5000));
        for (path, text, wanted) in [
            (
                "a.xml",
                "<?xml version=\"1.0\"?>\n<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>\n<databaseChangeLog>&b;</databaseChangeLog>",
                ":2",
            ),
            ("a.xml", "<!DOCTYPE x SYSTEM \"file:///etc/passwd\">\n<databaseChangeLog/>", ":1"),
            ("a.xml", "<databaseChangeLog>\n<changeSet>\n", "a.xml"),
            ("a.xml", "<databaseChangeLog>\n&other;</databaseChangeLog>", ":2"),
            ("a.yaml", "databaseChangeLog:\n- &a x: 1\n- y: *a\n", ":3"),
            ("a.yaml", "databaseChangeLog:\n  - x: [1\n", "a.yaml"),
            ("a.json", "{\"databaseChangeLog\": [{\n", "a.json"),
            ("a.yaml", &deep, "a.yaml:1"),
            ("a.yaml", "other: 1\n", "databaseChangeLog"),
        ] {
            let error = parse(path, text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{wanted}: {error}");
        }
    }
}
