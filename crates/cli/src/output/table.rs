//! Tables without borders: text to the left, numbers to the right.

use std::io::{self, Write};

use counterweight_primitives::{Address, ContentDigest};

use super::{Surface, Tone};

/// One value in a table.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    /// Words.
    Text(String),
    /// A figure, set to the right.
    Number(String),
    /// A digest: in full to a pipe, shortened on a terminal.
    Digest(ContentDigest),
    /// An account: in full to a pipe, shortened on a terminal.
    Account(Address),
    /// A word with a colour.
    State(Tone, String),
}

impl Cell {
    /// Words.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A figure.
    pub(crate) fn number(number: impl ToString) -> Self {
        Self::Number(number.to_string())
    }

    /// What it looks like there, without colour.
    fn plain(&self, surface: Surface) -> String {
        match self {
            Self::Text(text) | Self::Number(text) | Self::State(_, text) => text.clone(),
            Self::Digest(digest) if surface.terminal => digest.short(),
            Self::Digest(digest) => digest.to_string(),
            Self::Account(account) if surface.terminal => short_account(account),
            Self::Account(account) => account.to_string(),
        }
    }

    /// What it looks like there.
    pub(crate) fn render(&self, surface: Surface) -> String {
        let plain = self.plain(surface);
        match self {
            Self::State(tone, _) => surface.paint(*tone, &plain),
            _ => plain,
        }
    }
}

fn short_account(account: &Address) -> String {
    let text = account.to_string();
    format!("{}…{}", &text[..6], &text[text.len() - 4..])
}

/// Characters it takes on a line. Every character counts as one: we print none that is wider.
pub(super) fn width(text: &str) -> usize {
    text.chars().count()
}

/// Rows under column names.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these columns and no row.
    pub(crate) fn new<const N: usize>(columns: [&str; N]) -> Self {
        Self {
            columns: columns.map(str::to_owned).to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    #[cfg(test)]
    pub(crate) fn row<const N: usize>(mut self, cells: [Cell; N]) -> Self {
        self.push(cells);
        self
    }

    /// Adds a row in place.
    pub(crate) fn push<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.columns.len(), "a row has one cell for each column");
        self.rows.push(cells.into());
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn write(&self, out: &mut dyn Write, surface: Surface) -> io::Result<()> {
        let plain: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| cell.plain(surface)).collect())
            .collect();
        let named = self.columns.iter().any(|name| !name.is_empty());
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                let cells = plain.iter().map(|row| width(&row[column]));
                cells.chain([width(&self.columns[column])]).max().unwrap_or(0)
            })
            .collect();
        let right: Vec<bool> = (0..self.columns.len())
            .map(|column| self.rows.iter().any(|row| matches!(row[column], Cell::Number(_))))
            .collect();
        if named {
            let cells: Vec<Cell> = self
                .columns
                .iter()
                .map(|name| Cell::State(Tone::Faint, name.clone()))
                .collect();
            write_row(out, surface, &cells, &self.columns, &widths, &right)?;
        }
        for (row, plain) in self.rows.iter().zip(&plain) {
            write_row(out, surface, row, plain, &widths, &right)?;
        }
        Ok(())
    }
}

fn write_row(
    out: &mut dyn Write,
    surface: Surface,
    cells: &[Cell],
    plain: &[String],
    widths: &[usize],
    right: &[bool],
) -> io::Result<()> {
    let mut line = String::new();
    for (column, cell) in cells.iter().enumerate() {
        let space = " ".repeat(widths[column] - width(&plain[column]));
        let text = cell.render(surface);
        if column > 0 {
            line.push_str("  ");
        }
        if right[column] {
            line.push_str(&space);
            line.push_str(&text);
        } else {
            line.push_str(&text);
            line.push_str(&space);
        }
    }
    writeln!(out, "{}", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(surface: Surface) -> String {
        let table = Table::new(["name", "rows", "digest"])
            .row([
                Cell::text("north"),
                Cell::number(7),
                Cell::Digest(ContentDigest::of(b"")),
            ])
            .row([Cell::text("a"), Cell::number(1024), Cell::text("-")]);
        let mut out = Vec::new();
        table.write(&mut out, surface).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_stand_to_the_right_and_text_to_the_left() {
        let text = written(Surface {
            terminal: true,
            color: false,
        });
        assert_eq!(
            text,
            "name   rows  digest\nnorth     7  af13…3262\na      1024  -\n"
        );
    }

    #[test]
    fn a_pipe_gets_whole_digests() {
        assert!(
            written(Surface::PIPE)
                .contains("blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262")
        );
    }
}
