//! The one way a result leaves a command: text for people, JSON for programs, ids for pipes.
//!
//! A command returns an [`Answer`]; only [`Answer::write`] prints to standard output. Progress and remarks go to
//! standard error through [`Console`].

mod chart;
mod console;
mod style;
mod table;

use std::io::{self, Write};

use serde_json::{Map, Value, json};

pub(crate) use chart::chart;
pub(crate) use console::Loudness;
pub(crate) use console::{Bar, Console};
pub(crate) use style::{ColorChoice, Surface, Tone};
pub(crate) use table::{Cell, Table};

use crate::error::Status;

/// How a result is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text for people.
    Text,
    /// One JSON document.
    Json,
    /// Only what names the things found, one a line.
    Ids,
}

/// A piece of the text form.
#[derive(Debug, Clone)]
pub(crate) enum Block {
    /// A line as it is.
    Line(String),
    /// A heading above what follows.
    Heading(String),
    /// Rows under column names.
    Table(Table),
    /// Names and values, one a line.
    Fields(Vec<(String, Cell)>),
    /// Nothing but space.
    Gap,
}

/// What a command answers.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    schema: &'static str,
    json: Map<String, Value>,
    blocks: Vec<Block>,
    ids: Vec<String>,
    next: Vec<String>,
    status: Status,
}

impl Answer {
    /// An empty answer whose JSON form follows `schema`, `model-list/1`.
    pub(crate) fn new(schema: &'static str) -> Self {
        Self {
            schema,
            json: Map::new(),
            blocks: Vec::new(),
            ids: Vec::new(),
            next: Vec::new(),
            status: Status::Yes,
        }
    }

    /// Adds a member to the JSON form.
    pub(crate) fn json(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.json.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a line to the text form.
    pub(crate) fn line(mut self, line: impl Into<String>) -> Self {
        self.blocks.push(Block::Line(line.into()));
        self
    }

    /// Adds a heading, with space above it unless it comes first.
    pub(crate) fn heading(mut self, line: impl Into<String>) -> Self {
        if !self.blocks.is_empty() {
            self.blocks.push(Block::Gap);
        }
        self.blocks.push(Block::Heading(line.into()));
        self
    }

    /// Adds an empty line.
    pub(crate) fn gap(mut self) -> Self {
        self.blocks.push(Block::Gap);
        self
    }

    /// Adds a table to the text form.
    pub(crate) fn table(mut self, table: Table) -> Self {
        self.blocks.push(Block::Table(table));
        self
    }

    /// Adds names and values to the text form.
    pub(crate) fn fields<'a>(mut self, fields: impl IntoIterator<Item = (&'a str, Cell)>) -> Self {
        let fields = fields
            .into_iter()
            .map(|(name, cell)| (name.to_owned(), cell))
            .collect();
        self.blocks.push(Block::Fields(fields));
        self
    }

    /// Adds what `-q` prints.
    pub(crate) fn id(mut self, id: impl Into<String>) -> Self {
        self.ids.push(id.into());
        self
    }

    /// Adds a command to try next; shown on standard error.
    pub(crate) fn next(mut self, command: impl Into<String>) -> Self {
        self.next.push(command.into());
        self
    }

    /// Sets the exit status; [`Status::Yes`] otherwise.
    pub(crate) fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// The exit status.
    pub(crate) fn exit_status(&self) -> Status {
        self.status
    }

    /// Commands to try next.
    pub(crate) fn next_commands(&self) -> &[String] {
        &self.next
    }

    fn document(&self) -> Map<String, Value> {
        let mut document = Map::new();
        document.insert(
            "schema".to_owned(),
            json!(format!("counterweight/{}", self.schema)),
        );
        document.extend(self.json.clone());
        if !self.next.is_empty() {
            document.insert("next".to_owned(), json!(self.next));
        }
        document
    }

    /// Writes the JSON form on one line.
    ///
    /// # Errors
    /// As [`Answer::write`].
    pub(crate) fn write_line(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, &self.document())?;
        writeln!(out)
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.json.is_empty() && self.blocks.is_empty() && self.ids.is_empty()
    }

    /// Writes the result in the form asked for.
    ///
    /// # Errors
    /// Where `out` cannot be written, a closed pipe among others.
    pub(crate) fn write(&self, out: &mut dyn Write, form: Form, surface: Surface) -> io::Result<()> {
        match form {
            Form::Json => {
                let mut document = Map::new();
                document.insert(
                    "schema".to_owned(),
                    json!(format!("counterweight/{}", self.schema)),
                );
                document.extend(self.json.clone());
                if !self.next.is_empty() {
                    document.insert("next".to_owned(), json!(self.next));
                }
                serde_json::to_writer_pretty(&mut *out, &document)?;
                writeln!(out)
            }
            Form::Ids => self.ids.iter().try_for_each(|id| writeln!(out, "{id}")),
            Form::Text => self.blocks.iter().try_for_each(|block| block.write(out, surface)),
        }
    }
}

impl Block {
    fn write(&self, out: &mut dyn Write, surface: Surface) -> io::Result<()> {
        match self {
            Self::Line(line) => writeln!(out, "{line}"),
            Self::Heading(line) => writeln!(out, "{}", surface.paint(Tone::Strong, line)),
            Self::Gap => writeln!(out),
            Self::Table(table) => table.write(out, surface),
            Self::Fields(fields) => {
                let width = fields
                    .iter()
                    .map(|(name, _)| table::width(name))
                    .max()
                    .unwrap_or(0);
                fields.iter().try_for_each(|(name, cell)| {
                    let space = width - table::width(name);
                    writeln!(out, "{name}{:space$}  {}", "", cell.render(surface))
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        Answer::new("thing-list/1")
            .json("things", json!([{"name": "a"}]))
            .heading("Things")
            .table(Table::new(["name", "rows"]).row([Cell::text("a"), Cell::number(12)]))
            .id("a@1")
            .next("cw thing show a")
    }

    fn written(form: Form) -> String {
        let mut out = Vec::new();
        answer().write(&mut out, form, Surface::PIPE).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_has_the_result_and_no_hint() {
        assert_eq!(written(Form::Text), "Things\nname  rows\na       12\n");
    }

    #[test]
    fn json_is_one_document_with_its_schema() {
        let document: Value = serde_json::from_str(&written(Form::Json)).unwrap();
        assert_eq!(document["schema"], "counterweight/thing-list/1");
        assert_eq!(document["next"][0], "cw thing show a");
    }

    #[test]
    fn quiet_prints_ids_only() {
        assert_eq!(written(Form::Ids), "a@1\n");
    }
}
