//! Errors as people meet them: what happened, the facts, why, and the command that fixes it.

mod catalogue;
mod chain;
mod domain;

use std::{
    fmt,
    io::{self, Write},
};

use serde_json::{Map, Value, json};

pub(crate) use catalogue::Code;

use crate::output::{Surface, Tone};

/// What the process ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Done; where a question was asked, yes.
    Yes,
    /// Done; the answer is no.
    No,
    /// Cannot be done as written.
    Unusable,
    /// Something needed is not there; trying again may help.
    Missing,
    /// The rules refuse; trying again will not help.
    Refused,
    /// Our own fault.
    Fault,
}

impl Status {
    /// The number the shell sees.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Yes => 0,
            Self::No => 1,
            Self::Unusable => 2,
            Self::Missing => 3,
            Self::Refused => 4,
            Self::Fault => 70,
        }
    }
}

/// An error with all its parts.
#[derive(Debug, Clone)]
pub(crate) struct CliError(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    code: Code,
    message: String,
    facts: Vec<(String, String)>,
    why: Option<String>,
    fix: Option<String>,
}

impl CliError {
    /// An error whose first line is `message`: lower case, no full stop, complete by itself.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            code,
            message: message.into(),
            facts: Vec::new(),
            why: None,
            fix: None,
        }))
    }

    /// Adds a fact, `asked for  heart-mlp@3`.
    pub(crate) fn fact(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.facts.push((name.into(), value.into()));
        self
    }

    /// Says why.
    pub(crate) fn why(mut self, why: impl Into<String>) -> Self {
        self.0.why = Some(why.into());
        self
    }

    /// Says what to do about it; a command where there is one.
    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.0.fix = Some(fix.into());
        self
    }

    /// A fault of ours, with the chain of causes that led to it.
    pub(crate) fn fault(message: impl Into<String>) -> Self {
        Self::new(Code::Fault, message)
            .why("this should not happen, whatever the input: it is a fault in cw")
            .fix("run it again with -v and report what it prints")
    }

    /// Its code.
    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    /// The exit status that its code stands for.
    pub(crate) fn status(&self) -> Status {
        self.0.code.status()
    }

    /// What the contract said where it refused, else the first line.
    pub(crate) fn reason(&self) -> &str {
        let said = self.0.facts.iter().find(|(name, _)| name == "contract");
        said.map_or(&self.0.message, |(_, reason)| reason)
    }

    /// What to do about it.
    pub(crate) fn fix_text(&self) -> Option<&str> {
        self.0.fix.as_deref()
    }

    /// Its first line.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// Writes it for people.
    ///
    /// # Errors
    /// Where `out` cannot be written.
    pub(crate) fn write_text(&self, out: &mut dyn Write, surface: Surface) -> io::Result<()> {
        let parts = &self.0;
        let head = surface.paint(Tone::Bad, &format!("error[{}]", parts.code));
        writeln!(out, "{head}: {}", parts.message)?;
        let width = parts
            .facts
            .iter()
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or(0);
        for (name, value) in &parts.facts {
            let space = width - name.chars().count();
            writeln!(out, "  {name}{:space$}  {value}", "")?;
        }
        if let Some(why) = &parts.why {
            writeln!(out, "why: {why}")?;
        }
        if let Some(fix) = &parts.fix {
            writeln!(out, "fix: {}", surface.paint(Tone::Type, fix))?;
        }
        writeln!(out, "more: cw explain {}", parts.code)
    }

    /// Its JSON form.
    pub(crate) fn to_json(&self) -> Value {
        let parts = &self.0;
        let facts: Map<String, Value> = parts
            .facts
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        json!({
            "schema": "counterweight/error/1",
            "error": {
                "code": parts.code.to_string(),
                "message": parts.message,
                "facts": facts,
                "why": parts.why,
                "fix": parts.fix,
                "retry": self.status() == Status::Missing,
            }
        })
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.0.code, self.0.message)
    }
}

impl std::error::Error for CliError {}

/// The message of an error with those of its causes, `a: b: c`.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> CliError {
        CliError::new(Code::UnknownName, "no dataset is called \"nort\"")
            .fact("nearest", "north")
            .fact("in", "counterweight.toml")
            .why("the project does not name it")
            .fix("cw dataset list")
    }

    #[test]
    fn text_has_what_facts_why_fix_and_more() {
        let mut out = Vec::new();
        error().write_text(&mut out, Surface::PIPE).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "error[CW1006]: no dataset is called \"nort\"\n  nearest  north\n  in       counterweight.toml\n\
             why: the project does not name it\nfix: cw dataset list\nmore: cw explain CW1006\n"
        );
    }

    #[test]
    fn json_has_the_same_parts() {
        let json = error().to_json();
        assert_eq!(json["error"]["code"], "CW1006");
        assert_eq!(json["error"]["facts"]["nearest"], "north");
        assert_eq!(json["error"]["retry"], false);
    }
}
