//! Puts C2PA manifests into generated media, and reads them back: the part of `cw c2pa` that needs crate `c2pa`.
//!
//! It reads one request as JSON on standard input, writes one answer as JSON on standard output and ends with 0. Requests and
//! answers: [`protocol`], and `docs/spec/c2pa-assertion.md`. What a manifest means is not decided here: that is `cw`'s.

use std::{
    io::{self, Read as _, Write as _},
    process::ExitCode,
};

use counterweight_c2pa::{answer, protocol::MOST_REQUEST};

const HELP: &str = "cw-c2pa puts C2PA manifests into generated media and reads them back.

It is run by `cw c2pa`, beside which or on PATH it has to be. By itself it reads one JSON request on standard input and writes one
JSON answer on standard output.
";

fn main() -> ExitCode {
    let said = match std::env::args().nth(1).as_deref() {
        None => ask(),
        Some("--version" | "-V") => Ok(format!("cw-c2pa {}\n", env!("CARGO_PKG_VERSION"))),
        Some(_) => Ok(HELP.to_owned()),
    };
    let written = said.and_then(|text| io::stdout().lock().write_all(text.as_bytes()));
    ExitCode::from(u8::from(written.is_err()))
}

fn ask() -> io::Result<String> {
    // A file that breaks the reader is an answer, not a story on standard error.
    std::panic::set_hook(Box::new(|_| {}));
    let mut request = Vec::new();
    io::stdin()
        .lock()
        .take(MOST_REQUEST + 1)
        .read_to_end(&mut request)?;
    Ok(answer(&request))
}
