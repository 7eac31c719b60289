//! `cw run standing`, `appeal` and `decide`: where members stand, and what they and the arbiter do about a proposed exclusion.

use std::{fs, path::Path, sync::Arc};

use counterweight_chain::keys::LocalKey;
use counterweight_federated::{
    audit::{Audit, HoldoutFile, MemberStanding},
    ledger::{
        StudyReader as _,
        standing::{Proposal, ProposalState, StandingLedger as _, StandingSetting},
    },
    standing::StandingRecord,
};
use counterweight_primitives::{ContentDigest, MemberIndex, StudyId, UnixSeconds};
use serde_json::{Value, json};

use crate::{
    commands::{Context, verify::read_holdout},
    error::{CliError, Code},
    nearest::nearest,
    output::{Answer, Cell, Table},
    project::Project,
    session::{Assets, Contracts, Session},
    training::{RunSummary, member_key, sponsor_key},
};

/// Longest reason of an appeal.
const REASON_BYTES: u64 = 1 << 20;

/// Shows where each member of a run stands, computed again from its records.
///
/// # Errors
/// Those of the chain.
pub(super) fn show(session: &Session<'_>, contracts: &Contracts, study: StudyId) -> Result<Answer, CliError> {
    let assets = Assets::read(contracts, &session.blobs)?;
    let run = RunSummary::read(session, contracts, &assets, study)?;
    let holdout = read_holdout(session);
    let computed = Audit {
        study,
        ledger: &contracts.reader,
        consent: None,
        blobs: &*session.blobs,
        holdout: holdout.as_ref().map(|holdout| HoldoutFile {
            name: &holdout.name,
            bytes: &holdout.bytes,
            format: holdout.format,
        }),
        model: None,
    }
    .run()
    .standing;
    let record = StandingRecord::read(&contracts.reader, study)?;
    let now = contracts.reader.now()?;
    let vesting = run.terms.as_ref().map_or(0, |terms| terms.vesting_rounds());
    let mut table = Table::new(["member", "scored", "value", "total", "outlying", "standing"]);
    let mut rows: Vec<Value> = Vec::new();
    for (place, member) in run.members.iter().enumerate() {
        let own = computed.as_ref().and_then(|all| all.get(place));
        let index = MemberIndex(u8::try_from(place).unwrap_or(u8::MAX));
        let newest = record
            .as_ref()
            .and_then(|record| Some((record.newest(index)?, &record.setting)));
        let state = newest.map(|(proposal, setting)| (proposal, proposal.state(setting, now)));
        let vested = own.is_none_or(|own| own.scored_rounds >= vesting);
        let figure = |of: fn(&MemberStanding) -> Option<String>| {
            Cell::number(own.and_then(of).unwrap_or_else(|| "-".to_owned()))
        };
        table.push([
            Cell::text(&member.name),
            figure(|own| Some(own.scored_rounds.to_string())),
            figure(|own| Some(nats(own.compared_nano?))),
            figure(|own| Some(nats(own.total_nano))),
            figure(|own| Some(own.outlying_rounds.to_string())),
            Cell::text(in_words(state.as_ref().map(|(_, state)| state), vested, now)),
        ]);
        rows.push(json!({
            "member": index.0,
            "name": member.name,
            "account": member.account,
            "scored_rounds": own.map(|own| own.scored_rounds),
            "vested": own.map(|_| vested),
            "value_nano": own.and_then(|own| own.compared_nano),
            "total_nano": own.map(|own| own.total_nano),
            "outlying_rounds": own.map(|own| own.outlying_rounds),
            "proposal": state.map(|(proposal, state)| proposal_json(proposal, &state)),
        }));
    }
    let answer = Answer::new("run-standing/1")
        .json("run", study.0)
        .json("vesting_rounds", vesting)
        .json(
            "arbiter",
            record.as_ref().map(|record| record.setting.arbiter.to_string()),
        )
        .json(
            "appeal_seconds",
            record.as_ref().map(|record| record.setting.appeal_seconds),
        )
        .json("members", rows);
    let answer = match &record {
        Some(record) => answer.fields([
            ("run", Cell::text(study.to_string())),
            ("arbiter", Cell::Account(record.setting.arbiter)),
            (
                "appeal",
                Cell::text(format!("{} s", record.setting.appeal_seconds)),
            ),
        ]),
        None => answer.line(format!("Run {study} excludes nobody.")),
    };
    let answer = answer.gap().table(table);
    Ok(match computed {
        Some(_) => answer,
        None => answer.gap().line(
            "Values are not known here: the records of every round and the hold-out are needed.".to_owned(),
        ),
    })
}

/// Appeals for a member of this project.
///
/// # Errors
/// [`Code::UnknownName`], [`Code::NothingToAppeal`], and those of files and the chain.
pub(super) fn appeal(
    project: &Project,
    session: &Session<'_>,
    contracts: &Contracts,
    study: StudyId,
    (member, reason): (&str, &Path),
    context: &Context,
) -> Result<Answer, CliError> {
    let case = case(session, contracts, study, member)?;
    let unreadable = |problem: String| {
        CliError::new(
            Code::FileUnreadable,
            format!("{} cannot be read", reason.display()),
        )
        .fact("system", problem)
        .fix("name a text file with the member's reason")
    };
    let bytes = fs::read(reason).map_err(|error| unreadable(error.to_string()))?;
    if bytes.is_empty() || bytes.len() as u64 > REASON_BYTES {
        return Err(unreadable(format!(
            "{} bytes, expected 1 to {REASON_BYTES}",
            bytes.len()
        )));
    }
    let state = case.proposal.state(&case.setting, contracts.reader.now()?);
    if !matches!(state, ProposalState::Open { .. }) {
        return Err(closed(Code::NothingToAppeal, &case, &state, "takes no appeal"));
    }
    let key: Arc<LocalKey> = match &context.global.key {
        Some(name) => session.keys.open(&name.0)?,
        None => {
            let entry = project
                .config
                .study
                .datasets
                .iter()
                .find(|entry| entry.name == case.name);
            let entry = entry.ok_or_else(|| {
                CliError::new(
                    Code::UnknownName,
                    format!("{} is no dataset of this project", case.name),
                )
                .why("the member's own account appeals")
                .fix("add --key NAME with the member's key")
            })?;
            member_key(session, entry)?
        }
    };
    // Kept before its digest is recorded: the arbiter must be able to read it.
    let digest = session.blobs.put(&bytes)?;
    if !context.global.dry_run {
        contracts
            .acting_for(&key)
            .appeal_exclusion(study, case.member, digest)?;
    }
    Ok(Answer::new("run-appeal/1")
        .json("run", study.0)
        .json("member", case.member.0)
        .json("reason", digest.to_string())
        .json("sent", !context.global.dry_run)
        .fields([
            ("run", Cell::text(study.to_string())),
            ("member", Cell::text(&case.name)),
            ("reason", Cell::Digest(digest)),
            ("arbiter", Cell::Account(case.setting.arbiter)),
            (
                "decides within",
                Cell::text(format!("{} s", case.setting.appeal_seconds)),
            ),
        ])
        .id(digest.to_string())
        .next(format!("cw run standing {study}")))
}

/// Decides an appeal, as the arbiter.
///
/// # Errors
/// [`Code::NothingToAppeal`], and those of the chain.
pub(super) fn decide(
    session: &Session<'_>,
    contracts: &Contracts,
    study: StudyId,
    (member, uphold): (&str, bool),
    context: &Context,
) -> Result<Answer, CliError> {
    let case = case(session, contracts, study, member)?;
    let state = case.proposal.state(&case.setting, contracts.reader.now()?);
    if !matches!(state, ProposalState::Appealed { .. }) {
        return Err(closed(
            Code::NothingToAppeal,
            &case,
            &state,
            "waits for no decision",
        ));
    }
    if !context.global.dry_run {
        let key = sponsor_key(session, context.global.key.as_ref())?;
        contracts
            .acting_for(&key)
            .decide_appeal(study, case.member, uphold)?;
    }
    let outcome = if uphold {
        "the member stays"
    } else {
        "the member is excluded"
    };
    Ok(Answer::new("run-decide/1")
        .json("run", study.0)
        .json("member", case.member.0)
        .json("upheld", uphold)
        .json("sent", !context.global.dry_run)
        .fields([
            ("run", Cell::text(study.to_string())),
            ("member", Cell::text(&case.name)),
            ("decided", Cell::text(outcome)),
        ])
        .id(case.member.to_string())
        .next(format!("cw run standing {study}")))
}

/// A proposal against a member of a run.
struct Case {
    member: MemberIndex,
    name: String,
    proposal: Proposal,
    setting: StandingSetting,
}

/// The newest proposal against a member, by its dataset's name or its number.
fn case(
    session: &Session<'_>,
    contracts: &Contracts,
    study: StudyId,
    member: &str,
) -> Result<Case, CliError> {
    let assets = Assets::read(contracts, &session.blobs)?;
    let run = RunSummary::read(session, contracts, &assets, study)?;
    let names: Vec<&str> = run.members.iter().map(|member| member.name.as_str()).collect();
    let place = names.iter().position(|name| *name == member);
    let place = place.or_else(|| member.parse().ok().filter(|place: &usize| *place < names.len()));
    let place = place.ok_or_else(|| {
        let error = CliError::new(
            Code::UnknownName,
            format!("run {study} has no member \"{member}\""),
        );
        let error = match nearest(member, names.iter().copied()) {
            Some(near) => error.fact("nearest", near),
            None => error,
        };
        error.fix(format!("cw run standing {study}"))
    })?;
    // At most 64 members.
    let index = MemberIndex(place as u8);
    let name = names[place].to_owned();
    let record = StandingRecord::read(&contracts.reader, study)?;
    let found = record.and_then(|record| Some((*record.newest(index)?, record.setting)));
    let (proposal, setting) = found.ok_or_else(|| {
        CliError::new(
            Code::NothingToAppeal,
            format!("nothing is proposed against {name} in run {study}"),
        )
        .fix(format!("cw run standing {study}"))
    })?;
    Ok(Case {
        member: index,
        name,
        proposal,
        setting,
    })
}

fn closed(code: Code, case: &Case, state: &ProposalState, what: &str) -> CliError {
    CliError::new(code, format!("the proposal against {} {what}", case.name))
        .fact("proposed after round", case.proposal.round.to_string())
        .fact("standing", in_words(Some(state), true, UnixSeconds(0)))
        .fix("cw run standing")
}

/// Where a member stands, in words; with a time to count from, how much of it is left.
pub(crate) fn in_words(state: Option<&ProposalState>, vested: bool, now: UnixSeconds) -> String {
    let until = |time: UnixSeconds| match now.0 {
        0 => format!("until {}", time.to_rfc3339()),
        now => format!(
            "for {} s, until {}",
            time.0.saturating_sub(now) + 1,
            time.to_rfc3339()
        ),
    };
    match state {
        None if vested => "member".to_owned(),
        None => "member, not vested".to_owned(),
        Some(ProposalState::Open { appeal_by }) => format!("proposed; may appeal {}", until(*appeal_by)),
        Some(ProposalState::Appealed { decide_by }) => {
            format!("appealed; arbiter decides {}", until(*decide_by))
        }
        Some(ProposalState::Excluded { since }) => format!("excluded since {}", since.to_rfc3339()),
        Some(ProposalState::Kept { since }) => format!("stays, since {}", since.to_rfc3339()),
    }
}

fn proposal_json(proposal: &Proposal, state: &ProposalState) -> Value {
    let (name, time) = match state {
        ProposalState::Open { appeal_by } => ("open", appeal_by),
        ProposalState::Appealed { decide_by } => ("appealed", decide_by),
        ProposalState::Excluded { since } => ("excluded", since),
        ProposalState::Kept { since } => ("kept", since),
    };
    let reason: Option<ContentDigest> = proposal.appeal.map(|appeal| appeal.reason);
    json!({
        "round": proposal.round,
        "evidence": proposal.evidence,
        "reason": reason,
        "state": name,
        "time": time.to_rfc3339(),
    })
}

fn nats(nano: i64) -> String {
    format!("{:.6}", nano as f64 / 1e9)
}
