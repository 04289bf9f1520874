//! The rows of a dump: blocks of `COPY … FROM stdin`, in a defined order and merged by table.
//!
//! Rows are kept as the lines of the COPY text format; a value is never decoded, so equal text is equal value. Which
//! values may differ is [`super::volatile`]'s to say.

use super::scan::{Scanner, Token};

/// All rows of one table (of one partition tree, where loaded through its root).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CopyBlock {
    /// The table as written: schema-qualified, quoted where needed.
    pub table: String,
    /// Its columns as written; empty where the statement has no list.
    pub columns: Vec<String>,
    /// Lines of COPY text without line ends, sorted bytewise after [`CopyBlock::sort`].
    pub rows: Vec<String>,
}

impl CopyBlock {
    /// Reads `COPY table (columns) FROM stdin;` and its data lines. `None` where the statement has another form.
    pub(super) fn parse(statement: &str, data: &str) -> Option<CopyBlock> {
        let target = statement.strip_prefix("COPY ")?.strip_suffix(" FROM stdin;")?.trim_end();
        let list = column_list(target);
        let table = target[..list.unwrap_or(target.len())].trim_end().to_owned();
        let columns = list.map_or_else(Vec::new, |at| split_list(&target[at + 1..target.len() - 1]));
        Some(CopyBlock { table, columns, rows: data.lines_by_newline().map(str::to_owned).collect() })
    }

    /// Sorts the rows bytewise: an order that needs no key and no collation.
    pub(super) fn sort(&mut self) {
        self.rows.sort_unstable();
    }

    /// Adds the rows of another block of the same table, in this block's order of columns. `false` where their
    /// columns are not the same set.
    pub(super) fn merge(&mut self, other: CopyBlock) -> bool {
        if self.columns == other.columns {
            self.rows.extend(other.rows);
            return true;
        }
        let Some(places) = self
            .columns
            .iter()
            .map(|c| other.columns.iter().position(|o| o == c))
            .collect::<Option<Vec<_>>>()
            .filter(|places| places.len() == other.columns.len())
        else {
            return false;
        };
        self.rows.extend(other.rows.iter().map(|row| {
            let cells: Vec<&str> = row.split('\t').collect();
            places.iter().map(|&p| cells.get(p).copied().unwrap_or_default()).collect::<Vec<_>>().join("\t")
        }));
        true
    }

    /// The cells of each row, in the order of [`CopyBlock::columns`].
    pub fn cells(&self) -> impl Iterator<Item = Vec<&str>> {
        self.rows.iter().map(|row| if self.columns.is_empty() { Vec::new() } else { row.split('\t').collect() })
    }

    /// Writes the statement, the rows and the closing `\.`.
    pub(super) fn write(&self, out: &mut String) {
        out.push_str("COPY ");
        out.push_str(&self.table);
        if !self.columns.is_empty() {
            out.push_str(" (");
            out.push_str(&self.columns.join(", "));
            out.push(')');
        }
        out.push_str(" FROM stdin;\n");
        for row in &self.rows {
            out.push_str(row);
            out.push('\n');
        }
        out.push_str("\\.\n");
    }
}

/// Lines of COPY data end with a newline alone: `str::lines` would also cut a carriage return off.
trait LinesByNewline {
    fn lines_by_newline(&self) -> impl Iterator<Item = &str>;
}

impl LinesByNewline for str {
    fn lines_by_newline(&self) -> impl Iterator<Item = &str> {
        self.strip_suffix('\n')
            .into_iter()
            .flat_map(|text| text.split('\n'))
            .chain((!self.is_empty() && !self.ends_with('\n')).then_some(self))
    }
}

/// Where the column list of a COPY target opens.
fn column_list(target: &str) -> Option<usize> {
    if !target.ends_with(')') {
        return None;
    }
    let mut scan = Scanner::new(target.as_bytes(), 0);
    while let Some(token) = scan.next() {
        if token == Token::Punctuation(b'(') {
            return Some(scan.at - 1);
        }
    }
    None
}

/// Cuts `a, "b,c", d` at its outermost commas.
pub(super) fn split_list(list: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut scan = Scanner::new(list.as_bytes(), 0);
    let mut from = 0;
    while let Some(token) = scan.next() {
        if token == Token::Punctuation(b',') && scan.depth == 0 {
            parts.push(list[from..scan.at - 1].trim().to_owned());
            from = scan.at;
        }
    }
    let last = list[from..].trim();
    if !last.is_empty() {
        parts.push(last.to_owned());
    }
    parts
}

/// A value as it was before COPY's text format escaped it.
pub fn copy_value(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('t') => out.push('\t'),
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some(other) => out.push(other),
                None => {}
            },
            (c, _) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_quoted_names_and_keeps_carriage_returns() {
        let block = CopyBlock::parse("COPY public.\"a (b\" (id, \"x, y\") FROM stdin;", "2\tb\r\n1\ta\n").unwrap();
        assert_eq!(block.table, "public.\"a (b\"");
        assert_eq!(block.columns, ["id", "\"x, y\""]);
        assert_eq!(block.rows, ["2\tb\r", "1\ta"]);
    }

    #[test]
    fn a_table_without_columns_has_empty_rows() {
        let mut block = CopyBlock::parse("COPY public.t  FROM stdin;", "\n\n").unwrap();
        assert_eq!((block.columns.len(), block.rows.len()), (0, 2));
        block.sort();
        let mut text = String::new();
        block.write(&mut text);
        assert_eq!(text, "COPY public.t FROM stdin;\n\n\n\\.\n");
    }

    #[test]
    fn partitions_merge_by_column_name() {
        let mut root = CopyBlock::parse("COPY p.r (a, b) FROM stdin;", "1\t2\n").unwrap();
        assert!(root.merge(CopyBlock::parse("COPY p.r (b, a) FROM stdin;", "4\t3\n").unwrap()));
        assert_eq!(root.rows, ["1\t2", "3\t4"]);
        assert!(!root.merge(CopyBlock::parse("COPY p.r (b, c) FROM stdin;", "4\t3\n").unwrap()));
    }
}
