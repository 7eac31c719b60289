//! `cw explain`: the page of an error code, the same as in the book.

use serde_json::json;

use crate::{
    error::{CliError, Code},
    nearest::nearest,
    output::{Answer, Cell, Table},
};

/// What to explain.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The code, CW2107; without one, all codes are listed
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

/// Prints the page, or the list of all.
///
/// # Errors
/// [`Code::UnknownName`].
pub(crate) fn run(arguments: &Arguments) -> Result<Answer, CliError> {
    let Some(text) = &arguments.code else {
        return Ok(list());
    };
    let code: Code = text.parse().map_err(|()| {
        let error = CliError::new(Code::UnknownName, format!("there is no error code \"{text}\""));
        let codes = Code::ALL.iter().map(|code| code.as_str());
        let error = match nearest(&text.to_uppercase(), codes) {
            Some(near) => error.fact("nearest", near),
            None => error,
        };
        error.fix("cw explain lists every code")
    })?;
    Ok(Answer::new("error-page/1")
        .json("code", code.as_str())
        .json("title", code.title())
        .json("exit_status", code.status().number())
        .json("page", code.page())
        .line(code.page().trim_end())
        .id(code.as_str()))
}

fn list() -> Answer {
    let mut table = Table::new(["code", "exit", "meaning"]);
    for code in Code::ALL {
        table.push([
            Cell::text(code.as_str()),
            Cell::number(code.status().number()),
            Cell::text(code.title()),
        ]);
    }
    let codes: Vec<_> = Code::ALL
        .iter()
        .map(|code| json!({"code": code.as_str(), "title": code.title(), "exit_status": code.status().number()}))
        .collect();
    let answer = Answer::new("error-list/1").json("codes", codes).table(table);
    Code::ALL
        .iter()
        .fold(answer, |answer, code| answer.id(code.as_str()))
}
