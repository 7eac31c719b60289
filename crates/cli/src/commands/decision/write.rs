//! What changes a log of decisions, or needs its keys.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, BufWriter, Write as _},
    path::Path,
};

use counterweight_primitives::UnixSeconds;
use counterweight_provenance::{
    decision::{CheckedDecision, Chosen, DecisionDraft, Field, MOST_BATCH, TreeEnsemble, receipt::sign_all},
    ledger::LogId,
};

use super::{Open, now};
use crate::{
    arguments::Seconds,
    commands::{Context, log::sign_for_chain},
    error::{CliError, Code, with_causes},
    output::Answer,
};

/// Longest line that is read.
const MOST_LINE: usize = 8 << 20;

/// Records lines in batches.
pub(super) fn record(
    decisions: &Path,
    open: &mut Open,
    receipts: Option<&Path>,
    merge_delay: Seconds,
    folder: &Path,
) -> Result<Answer, CliError> {
    let input: Box<dyn io::Read> = if decisions.as_os_str() == "-" {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(decisions).map_err(|error| unreadable(decisions, &error))?)
    };
    let mut lines = BufReader::new(input);
    let mut out = receipts
        .map(|path| {
            File::create(path)
                .map(BufWriter::new)
                .map_err(|error| unwritable(path, &error))
        })
        .transpose()?;
    let mut answer = Answer::new("decision-record/1").json("origin", open.origin.as_str());
    let mut number = 0;
    let mut total = 0;
    let mut first = None;
    loop {
        let mut batch = Vec::new();
        while batch.len() < MOST_BATCH {
            let mut line = Vec::new();
            io::Read::take(&mut lines, MOST_LINE as u64)
                .read_until(b'\n', &mut line)
                .map_err(|error| unreadable(decisions, &error))?;
            if line.is_empty() {
                break;
            }
            number += 1;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let checked = check(open, &line).map_err(|error| {
                // Batches before this one are recorded: whoever tries again must not record them twice.
                error
                    .fact("line", number.to_string())
                    .fact("recorded", format!("{total} before it"))
            })?;
            batch.push(checked);
        }
        if batch.is_empty() {
            break;
        }
        let recorded = open.book.record(&batch)?;
        let deadline = UnixSeconds(now().seconds().0.saturating_add(merge_delay.0.as_secs()));
        if let (Some(out), Some(path)) = (&mut out, receipts) {
            let log = LogId::of_origin(&open.origin);
            let promises: Vec<_> = recorded
                .iter()
                .map(|recorded| recorded.promise(log, deadline))
                .collect();
            let fault = |error: &dyn std::error::Error| CliError::new(Code::Fault, with_causes(error));
            for receipt in sign_all(&open.origin, &promises, &*open.owner).map_err(|error| fault(&error))? {
                let bytes = receipt.encode().map_err(|error| fault(&error))?;
                out.write_all(&bytes)
                    .and_then(|()| out.write_all(b"\n"))
                    .map_err(|error| unwritable(path, &error))?;
            }
        }
        total += recorded.len();
        for recorded in &recorded {
            first.get_or_insert(recorded.index);
            answer = answer.id(recorded.index.to_string());
        }
    }
    if let (Some(mut out), Some(path)) = (out, receipts) {
        let synced = out.flush().and_then(|()| out.get_ref().sync_all());
        synced.map_err(|error| unwritable(path, &error))?;
    }
    if total > 0 {
        sign_for_chain(open.book.log_mut(), &open.owner)?;
    }
    let tree = open.book.log().checkpoint().checkpoint();
    answer = answer
        .json("first", first)
        .json("decisions", total)
        .json("size", tree.size)
        .json("root", tree.root.to_string());
    Ok(match first {
        Some(first) => answer
            .line(format!("{total} decisions, entries {first} to {}", tree.size - 1))
            .next(format!("cw decision prove {first} --log {}", folder.display())),
        None => answer.line("no decisions"),
    })
}

fn check(open: &Open, line: &[u8]) -> Result<CheckedDecision, CliError> {
    let unfit = |why: String| {
        CliError::new(Code::DecisionUnfit, "a decision does not fit its profile")
            .why(why)
            .fix("correct the line; those before it are not recorded twice if you cut them off")
    };
    let draft = DecisionDraft::read(line).map_err(|error| unfit(with_causes(&error)))?;
    let mut fitting = open.profiles.iter().filter(|profile| {
        draft
            .endpoint
            .as_deref()
            .is_none_or(|endpoint| endpoint == profile.endpoint())
    });
    let profile = match (fitting.next(), fitting.next()) {
        (Some(profile), None) => profile,
        (None, _) => {
            return Err(unfit(
                "no profile has its endpoint: give one with --endpoint".to_owned(),
            ));
        }
        _ => {
            return Err(unfit(
                "several profiles could be meant: give the one with --endpoint, and its name in the line"
                    .to_owned(),
            ));
        }
    };
    draft
        .check(profile, now())
        .map_err(|error| unfit(with_causes(&error)))
}

/// What a disclosure shows.
pub(in crate::commands) struct Choice<'a> {
    /// Names of fields; none for all.
    pub(in crate::commands) fields: Option<&'a [String]>,
    /// Whether the parameters of the explanation go along.
    pub(in crate::commands) parameters: bool,
    /// An explanation's entry, and the file of its model.
    pub(in crate::commands) explanation: Option<(u64, &'a Path)>,
}

/// Explains a decision of a tree ensemble.
pub(super) fn explain(open: &mut Open, index: u64, model: &Path, folder: &Path) -> Result<Answer, CliError> {
    let ensemble = TreeEnsemble::read(&read_model(model)?).map_err(|error| {
        CliError::new(
            Code::DecisionUnfit,
            format!("{} cannot be explained", model.display()),
        )
        .why(error.to_string())
        .fix("save it with save_model of LightGBM, or of XGBoost as JSON; docs/spec/decision.md says what is supported")
    })?;
    let recorded = open.book.explain(index, &ensemble, now())?;
    sign_for_chain(open.book.log_mut(), &open.owner)?;
    Ok(Answer::new("decision-explain/1")
        .json("decision", index)
        .json("index", recorded.index)
        .json("model", ensemble.digest().to_string())
        .line(format!("entry {} explains entry {index}", recorded.index))
        .id(recorded.index.to_string())
        .next(format!(
            "cw decision disclose {index} --log {} --all --explanation {} --model {} --output FILE",
            folder.display(),
            recorded.index,
            model.display()
        )))
}

/// Records a decision in place of an earlier one.
pub(super) fn correct(
    open: &mut Open,
    index: u64,
    decision: &Path,
    folder: &Path,
) -> Result<Answer, CliError> {
    let checked = check(open, &crate::commands::log::read(decision)?)?;
    let recorded = open.book.correct(index, &checked)?;
    sign_for_chain(open.book.log_mut(), &open.owner)?;
    Ok(Answer::new("decision-correct/1")
        .json("replaces", index)
        .json("index", recorded.index)
        .json("entry", hex::encode(recorded.entry.encode()))
        .line(format!("entry {} replaces entry {index}", recorded.index))
        .id(recorded.index.to_string())
        .next(format!(
            "cw decision disclose {} --log {} --all --output FILE",
            recorded.index,
            folder.display()
        )))
}

fn read_model(path: &Path) -> Result<String, CliError> {
    String::from_utf8(crate::commands::log::read(path)?).map_err(|_| {
        CliError::new(Code::BadValue, format!("{} is not text", path.display()))
            .fix("give the file that save_model of LightGBM wrote, or of XGBoost as JSON")
    })
}

/// The bytes of a disclosure.
///
/// # Errors
/// [`Code::UnknownName`] for a field that the decision does not have, and those of the decisions.
pub(in crate::commands) fn disclosed(
    open: &Open,
    index: u64,
    choice: &Choice<'_>,
) -> Result<Vec<u8>, CliError> {
    let chosen = choice.fields.map(|fields| Chosen::new(fields.iter().cloned()));
    // The fields of an explanation made later are its model's, so a name that is of none is seen only without one.
    if let Some(chosen) = chosen.as_ref().filter(|_| choice.explanation.is_none()) {
        let profile = open.book.profile_of(index)?;
        if let Some(name) = chosen.unknown(&profile) {
            let known: Vec<_> = profile
                .fields()
                .iter()
                .map(|f| format!("{}:{}", f.role, f.name))
                .collect();
            return Err(
                CliError::new(Code::UnknownName, format!("the decision has no field \"{name}\""))
                    .fact("fields", known.join(", "))
                    .fix("choose among its fields"),
            );
        }
    }
    let is_chosen = |field: &Field| chosen.as_ref().is_none_or(|chosen| chosen.has(field));
    Ok(match choice.explanation {
        Some((explanation, model)) => {
            open.book
                .disclose_explained(index, is_chosen, explanation, &read_model(model)?)?
        }
        None => open.book.disclose(index, is_chosen, choice.parameters)?,
    })
}

/// Writes a disclosure.
pub(super) fn disclose(
    open: &Open,
    index: u64,
    choice: &Choice<'_>,
    output: &Path,
    context: &Context,
) -> Result<Answer, CliError> {
    if output.exists() && !context.global.yes {
        return Err(CliError::new(
            Code::AlreadyThere,
            format!("{} is there already", output.display()),
        )
        .fix("choose another file with --output, or give --yes to replace it"));
    }
    let bytes = disclosed(open, index, choice)?;
    // Whoever is shown the old one should be told by whoever shows it.
    let newer = open.book.replaced_by(index)?;
    if let Some(newer) = newer {
        context
            .console
            .warn(format!("entry {newer} replaced this decision"));
    }
    fs::write(output, &bytes).map_err(|error| unwritable(output, &error))?;
    let key = &open.key;
    Ok(Answer::new("decision-disclose/1")
        .json("index", index)
        .json("replaced_by", newer)
        .json("file", output.display().to_string())
        .json("bytes", bytes.len())
        .json("vkey", key.as_str())
        .line(output.display().to_string())
        .id(output.display().to_string())
        .next(format!("cw decision verify {} --vkey {key}", output.display())))
}

/// Erases people.
pub(super) fn erase(
    open: &mut Open,
    subjects: &[String],
    ground: &str,
    context: &Context,
) -> Result<Answer, CliError> {
    let mut decisions = 0;
    for subject in subjects {
        decisions += open.book.decisions_about(subject)?.len();
    }
    let answer = Answer::new("decision-erase/1")
        .json("decisions", decisions)
        .json("subjects", subjects.len());
    if context.global.dry_run {
        return Ok(answer.json("erased", false).line(format!(
            "{decisions} decisions about {} could not be opened any more; nothing was erased",
            people(subjects.len())
        )));
    }
    if !context.global.yes {
        return Err(CliError::new(Code::AnswerNeeded, "an erasure cannot be undone")
            .fact("decisions", decisions.to_string())
            .fact("people", subjects.len().to_string())
            .why("their keys are deleted, and nobody can open what was decided about them again")
            .fix("add --yes, or see with --dry-run what it would do"));
    }
    let names: Vec<_> = subjects.iter().map(String::as_str).collect();
    let (index, erasure) = open.book.erase(&names, ground, now())?;
    sign_for_chain(open.book.log_mut(), &open.owner)?;
    Ok(answer
        .json("erased", true)
        .json("index", index)
        .line(format!(
            "{} decisions about {} cannot be opened any more; entry {index} says so, and not whose they were",
            erasure.decisions,
            people(names.len())
        ))
        .id(index.to_string()))
}

fn people(count: usize) -> String {
    if count == 1 {
        "one person".to_owned()
    } else {
        format!("{count} people")
    }
}

fn unreadable(path: &Path, error: &io::Error) -> CliError {
    CliError::new(Code::FileUnreadable, format!("{} cannot be read", path.display()))
        .fact("system", error.to_string())
        .fix("check its name and permissions")
}

fn unwritable(path: &Path, error: &io::Error) -> CliError {
    CliError::new(
        Code::FileUnreadable,
        format!("{} cannot be written", path.display()),
    )
    .fact("system", error.to_string())
    .fix("check the folder's permissions and the disk's free space")
}
