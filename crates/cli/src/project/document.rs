//! A TOML document whose every value knows where it came from.

use std::{borrow::Cow, collections::BTreeMap};

use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue, Deserializer},
};

use super::Origin;
use crate::error::{CliError, Code};

/// A parsed file with what overrides it.
#[derive(Debug)]
pub(crate) struct Document<'i> {
    name: String,
    text: &'i str,
    table: DeTable<'i>,
    overrides: Vec<Origin>,
}

/// Which keys a table may have.
#[derive(Debug)]
pub(crate) enum Keys {
    /// These.
    These(Vec<&'static str>),
    /// Any: they are names that a person chose.
    Names,
}

/// Line of a byte, counted from 1.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

impl<'i> Document<'i> {
    /// Parses `text`, the contents of a file called `name`.
    ///
    /// # Errors
    /// [`Code::TomlSyntax`].
    pub(crate) fn parse(name: &str, text: &'i str) -> Result<Self, CliError> {
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map(|span| line_of(text, span.start));
            let told = CliError::new(
                Code::TomlSyntax,
                format!("{} is not TOML: {}", place(name, line), error.message()),
            );
            match line.and_then(|line| text.lines().nth(line - 1)) {
                Some(content) => told.fact("line", content.trim()),
                None => told,
            }
            .fix("correct the line; texts need quotes, lists need brackets")
        })?;
        Ok(Self {
            name: name.to_owned(),
            text,
            table: table.into_inner(),
            overrides: Vec::new(),
        })
    }

    /// Takes a table out.
    pub(crate) fn take(&mut self, key: &str) -> Option<DeTable<'i>> {
        match self.table.remove(key)?.into_inner() {
            DeValue::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Whether a top-level key is there and no table.
    pub(crate) fn misplaced(&self, key: &str) -> Option<usize> {
        let value = self.table.get(key)?;
        (!value.get_ref().is_table()).then(|| line_of(self.text, value.span().start))
    }

    /// The names of the tables under a top-level key.
    pub(crate) fn names_under(&self, key: &str) -> Vec<String> {
        let table = self.table.get(key).and_then(|value| value.get_ref().as_table());
        table
            .map(|table| table.keys().map(|name| name.get_ref().to_string()).collect())
            .unwrap_or_default()
    }

    /// Sets a key to what `text` says as TOML, or to `text` itself where it is no TOML value.
    pub(crate) fn set(&mut self, table: &str, key: &str, text: &'i str, origin: Origin) {
        let value = match DeValue::parse(text) {
            Ok(value) => value.into_inner(),
            Err(_) => DeValue::String(Cow::Borrowed(text)),
        };
        // The value stands on a line of its own after the file's end, so that an error at it can be told apart.
        let span = self.text.len() + 1 + self.overrides.len();
        self.overrides.push(origin);
        let place = self
            .table
            .entry(Spanned::new(span..span, Cow::Owned(table.to_owned())))
            .or_insert_with(|| Spanned::new(span..span, DeValue::Table(DeTable::new())));
        if let DeValue::Table(entries) = place.get_mut() {
            entries.remove(key);
            entries.insert(
                Spanned::new(span..span, Cow::Owned(key.to_owned())),
                respan(value, span),
            );
        }
    }

    /// Puts the tables of a profile over those of the document, key by key.
    pub(crate) fn overlay(&mut self, profile: DeTable<'i>) {
        merge(&mut self.table, profile);
    }

    /// Where a byte offset of the document is.
    pub(crate) fn origin(&self, offset: usize) -> Origin {
        match offset
            .checked_sub(self.text.len() + 1)
            .and_then(|index| self.overrides.get(index))
        {
            Some(origin) => origin.clone(),
            None => Origin::File {
                name: self.name.clone(),
                line: line_of(self.text, offset),
            },
        }
    }

    /// Every key with where its value came from, `training.rounds` or `dataset[0].name`.
    pub(crate) fn origins(&self) -> BTreeMap<String, Origin> {
        let mut origins = BTreeMap::new();
        self.walk(&self.table, "", &mut |path, span| {
            origins.insert(path.to_owned(), self.origin(span));
        });
        origins
    }

    fn walk(&self, table: &DeTable<'i>, path: &str, seen: &mut dyn FnMut(&str, usize)) {
        for (key, value) in table {
            let path = if path.is_empty() {
                key.get_ref().to_string()
            } else {
                format!("{path}.{}", key.get_ref())
            };
            // A table's own span covers what is in it; the key is where a person would look.
            seen(&path, key.span().start);
            match value.get_ref() {
                DeValue::Table(table) => self.walk(table, &path, seen),
                DeValue::Array(items) => {
                    for (index, item) in items.iter().enumerate() {
                        let path = format!("{path}[{index}]");
                        seen(&path, item.span().start);
                        if let DeValue::Table(table) = item.get_ref() {
                            self.walk(table, &path, seen);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Holds every key to `known`, which gives the keys of a table by its path without indices; nothing for a table
    /// that is not looked into.
    ///
    /// # Errors
    /// [`Code::UnknownKey`] with the nearest key.
    pub(crate) fn check_keys(&self, known: &dyn Fn(&str) -> Option<Keys>) -> Result<(), CliError> {
        self.check_table(&self.table, "", known)
    }

    fn check_table(
        &self,
        table: &DeTable<'i>,
        path: &str,
        known: &dyn Fn(&str) -> Option<Keys>,
    ) -> Result<(), CliError> {
        let Some(keys) = known(path) else {
            return Ok(());
        };
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if let Keys::These(keys) = &keys
                && !keys.contains(&name)
            {
                return Err(self.unknown_key(name, path, key.span().start, keys));
            }
            let inner = if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}.{name}")
            };
            match value.get_ref() {
                DeValue::Table(table) => self.check_table(table, &inner, known)?,
                DeValue::Array(items) => {
                    for item in items {
                        if let DeValue::Table(table) = item.get_ref() {
                            self.check_table(table, &inner, known)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn unknown_key(&self, name: &str, path: &str, offset: usize, keys: &[&'static str]) -> CliError {
        let whose = if path.is_empty() {
            "the configuration".to_owned()
        } else {
            format!("[{path}]")
        };
        let origin = self.origin(offset);
        let told = CliError::new(
            Code::UnknownKey,
            format!("{whose} has no key \"{name}\" ({origin})"),
        );
        match crate::nearest::nearest(name, keys.iter().copied()) {
            Some(near) => told
                .fact("nearest", near)
                .fix(format!("write {near} at {origin}, or remove the key")),
            None => told
                .fact("known", keys.join(", "))
                .fix(format!("remove the key at {origin}")),
        }
    }

    /// Reads the document as a value.
    ///
    /// # Errors
    /// [`Code::BadValue`] with where the value came from.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, CliError> {
        let whole = Spanned::new(0..self.text.len(), self.table.clone());
        T::deserialize(Deserializer::from(whole)).map_err(|error| {
            let told = error.message().to_owned();
            match error.span() {
                // The span of the whole document says nothing.
                Some(span) if span != (0..self.text.len()) => {
                    let origin = self.origin(span.start);
                    CliError::new(Code::BadValue, format!("{origin}: {told}"))
                        .fix(format!("correct the value at {origin}"))
                }
                _ => CliError::new(Code::BadValue, format!("{}: {told}", self.name))
                    .fix(format!("correct {}", self.name)),
            }
        })
    }
}

fn place(name: &str, line: Option<usize>) -> String {
    line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"))
}

fn merge<'i>(below: &mut DeTable<'i>, above: DeTable<'i>) {
    for (key, value) in above {
        let both = below.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut);
        match (both, value.get_ref()) {
            (Some(DeValue::Table(below)), DeValue::Table(_)) => {
                if let DeValue::Table(above) = value.into_inner() {
                    merge(below, above);
                }
            }
            _ => {
                below.remove(key.get_ref().as_ref());
                below.insert(key, value);
            }
        }
    }
}

/// The same value, with every part of it at one place.
fn respan(value: DeValue<'_>, span: usize) -> Spanned<DeValue<'_>> {
    let value = match value {
        DeValue::Array(items) => {
            let mut array = DeArray::new();
            for item in items {
                array.push(respan(item.into_inner(), span));
            }
            DeValue::Array(array)
        }
        DeValue::Table(table) => DeValue::Table(
            table
                .into_iter()
                .map(|(key, value)| {
                    (
                        Spanned::new(span..span, key.into_inner()),
                        respan(value.into_inner(), span),
                    )
                })
                .collect(),
        ),
        other => other,
    };
    Spanned::new(span..span, value)
}
