//! Opening a study, or finding the one that was interrupted.

use counterweight_chain::ledger::ContractLedger;
use counterweight_federated::{
    ledger::{Phase, StudyLedger as _, StudyReader as _, StudyState, StudyTerms},
    study::{
        MOST_MEMBERS,
        terms::{MOST_BYTES, PublicTerms},
    },
};
use counterweight_primitives::{Address, Amount, AssetId, ContentDigest, Ppm, StudyId, UnixSeconds};

use super::{Membership, datasets::purpose};
use crate::{
    commands::Context,
    error::{CliError, Code},
    project::Project,
    session::{Contracts, Session},
};

/// Time to join, where every member is in this process.
const SIMULATED_ENROLMENT: u64 = 600;

/// A study to run or to publish.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Its number.
    pub(crate) study: StudyId,
    /// Its terms.
    pub(crate) terms: PublicTerms,
    /// Whether it was there before.
    pub(crate) resumed: bool,
}

/// Finds the project's unfinished study, or opens a new one.
///
/// # Errors
/// [`Code::RunDiffers`] where the unfinished one has other terms, and those of chain and contracts.
#[expect(
    clippy::too_many_arguments,
    reason = "each is used once, and a struct for them would be made only here"
)]
pub(crate) fn open_or_resume(
    session: &Session<'_>,
    contracts: &Contracts,
    sponsor: &ContractLedger,
    terms: PublicTerms,
    base: Option<AssetId>,
    invited: Vec<Address>,
    members: usize,
    fresh: bool,
    context: &Context,
) -> Result<Opened, CliError> {
    let project = session.project;
    let bytes = terms.to_bytes().map_err(|error| {
        CliError::new(Code::BadValue, "the study's terms cannot be written").why(error.to_string())
    })?;
    let digest = session.blobs.put(&bytes)?;
    if let Some((study, state)) = unfinished(session, sponsor, &project.config.study.study.name)? {
        if state.terms == digest {
            return Ok(Opened {
                study,
                terms,
                resumed: true,
            });
        }
        if !fresh {
            return Err(CliError::new(
                Code::RunDiffers,
                format!("run {study} was interrupted and has other terms"),
            )
            .fact("terms of the run", state.terms.to_string())
            .fact("terms now", digest.to_string())
            .why("going on with another configuration would give a model that nobody agreed to")
            .fix(
                "restore counterweight.toml to finish it, or cw train --fresh to leave it and open a new one",
            ));
        }
        if state.phase == Phase::Enrolling {
            sponsor.cancel(study)?;
            context
                .console
                .did("Cancelled", format!("run {study}, which had not started"));
        }
    }
    // The sponsor coordinates here, and whoever proposes exclusions must not decide the appeals.
    if let Some(exclusion) = terms.exclusion()
        && exclusion
            .arbiter
            .is_none_or(|arbiter| arbiter == sponsor.account())
    {
        return Err(CliError::new(
            Code::ArbiterMissing,
            "training.standing excludes members, and nobody but the coordinator would decide appeals",
        )
        .fact("coordinator and sponsor", sponsor.account().to_string())
        .why("the coordinator proposes exclusions; another account must decide whether they hold")
        .fix("add arbiter = \"0x…\" to [training.standing], the account of someone members trust"));
    }
    let offer = offer(
        session,
        contracts,
        sponsor,
        (digest, &terms),
        base,
        invited,
        members,
    )?;
    // A coordinator that sums what nobody sees deposits a bond too, as much as a member's.
    let own = if terms.masking.is_some() {
        offer.bond
    } else {
        Amount::ZERO
    };
    let needed = offer.budget.checked_add(own).unwrap_or(offer.budget);
    fund(session, contracts, sponsor, needed)?;
    let study = sponsor.open_study(&offer)?;
    Ok(Opened {
        study,
        terms,
        resumed: false,
    })
}

/// The newest study of this sponsor and name that is not over, or over and not published.
fn unfinished(
    session: &Session<'_>,
    sponsor: &ContractLedger,
    name: &str,
) -> Result<Option<(StudyId, StudyState)>, CliError> {
    for number in (1..=sponsor.study_count()?).rev() {
        let study = StudyId(number);
        let state = sponsor.study(study)?;
        if state.sponsor != sponsor.account() || state.coordinator != sponsor.account() {
            continue;
        }
        let terms = session.blobs.get(&state.terms, MOST_BYTES as u64).ok();
        let terms = terms.and_then(|bytes| PublicTerms::from_bytes(&bytes).ok());
        if terms.is_none_or(|terms| terms.study != name) {
            continue;
        }
        let open = match state.phase {
            Phase::Enrolling | Phase::Running => true,
            Phase::Finished => state.model.is_none(),
            Phase::Cancelled | Phase::Abandoned => false,
        };
        // Only the newest counts: an older one was left behind on purpose.
        return Ok(open.then_some((study, state)));
    }
    Ok(None)
}

fn offer(
    session: &Session<'_>,
    contracts: &Contracts,
    sponsor: &ContractLedger,
    (digest, terms): (ContentDigest, &PublicTerms),
    base_model: Option<AssetId>,
    invited: Vec<Address>,
    members: usize,
) -> Result<StudyTerms, CliError> {
    let study = &session.project.config.study;
    let decimals = contracts.money.decimals;
    let tokens = |amount: &counterweight_federated::study::Tokens, key: &str| {
        amount.to_amount(decimals).map_err(|error| {
            CliError::new(Code::BadValue, format!("study.{key}: {error}"))
                .fact(
                    "token",
                    format!("{}, {decimals} decimals", contracts.money.symbol),
                )
                .fix(format!("correct {key} in [study]"))
        })
    };
    let now = sponsor.now()?;
    let training = &study.training;
    let (round, close) = (training.round_timeout.0, training.close_timeout.0);
    let enrol_until = UnixSeconds(now.0 + SIMULATED_ENROLMENT);
    // Four times what the rounds may take: expired rounds are opened again.
    let longest = u64::from(training.rounds) * (u64::from(round) + u64::from(close)) * 4;
    // The configuration is checked: there are no more.
    let count = u8::try_from(members.max(1))
        .unwrap_or(MOST_MEMBERS)
        .min(MOST_MEMBERS);
    Ok(StudyTerms {
        coordinator: sponsor.account(),
        token: contracts.token,
        budget: tokens(&study.study.budget, "budget")?,
        bond: tokens(&study.study.bond, "bond")?,
        purpose: purpose(session.project)?,
        base_model,
        terms: digest,
        min_members: training.quorum,
        max_members: count,
        rounds: training.rounds,
        round_seconds: round,
        close_seconds: close,
        enrol_until,
        finish_by: UnixSeconds(enrol_until.0 + longest + 86_400),
        member_cap: share(session.project, "member-cap", study.study.member_cap.get())?,
        lineage_share: share(session.project, "lineage-share", study.study.lineage_share.get())?,
        epsilon_budget: terms.epsilon_budget(),
        invited,
    })
}

fn share(project: &Project, key: &str, part: f64) -> Result<Ppm, CliError> {
    let millionths = (part * 1e6).round();
    let valid = (0.0..=1e6).contains(&millionths);
    let refuse = || {
        let origin = project
            .config
            .origin(&format!("study.{key}"))
            .map_or_else(String::new, |o| format!("{o}: "));
        CliError::new(Code::BadValue, format!("{origin}{key} is a part of a whole"))
            .fix(format!("give {key} a value between 0 and 1"))
    };
    if !valid {
        return Err(refuse());
    }
    // In range, so that the cast only drops the fraction that is not there.
    Ppm::new(millionths as u32).map_err(|_| refuse())
}

/// Makes development tokens for what the account lacks; elsewhere the account must hold them.
pub(crate) fn fund(
    session: &Session<'_>,
    contracts: &Contracts,
    ledger: &ContractLedger,
    needed: Amount,
) -> Result<(), CliError> {
    let held = contracts
        .reader
        .token_balance(contracts.token, ledger.account())?;
    if held >= needed {
        return Ok(());
    }
    if session.is_development() && contracts.reader.deployment().development_token == Some(contracts.token) {
        // Only who deployed it makes development tokens, and on a development chain that is the first account.
        let minter = contracts.acting_for(&session.keys.development(0)?);
        minter.mint_development_tokens(ledger.account(), Amount(needed.0 - held.0))?;
        return Ok(());
    }
    let decimals = contracts.money.decimals;
    Err(CliError::new(
        Code::TransactionRejected,
        format!("account {} holds too little", ledger.account()),
    )
    .fact(
        "needed",
        format!("{} {}", needed.to_tokens(decimals), contracts.money.symbol),
    )
    .fact(
        "held",
        format!("{} {}", held.to_tokens(decimals), contracts.money.symbol),
    )
    .fix("send it the tokens, or choose another account with --key"))
}

/// Lets every member join that may. Those whose consent is missing are left out, with the contract's reason.
///
/// # Errors
/// Whatever else the contract refuses.
pub(crate) fn join_all(
    session: &Session<'_>,
    contracts: &Contracts,
    study: StudyId,
    members: &[Membership],
    context: &Context,
) -> Result<Vec<(String, CliError)>, CliError> {
    let state = contracts.reader.study(study)?;
    let mut left_out = Vec::new();
    for member in members {
        if state.phase != Phase::Enrolling
            || state.members.iter().any(|joined| joined.dataset == member.asset)
        {
            continue;
        }
        let ledger = contracts.acting_for(&member.key);
        fund(session, contracts, &ledger, state.bond)?;
        match ledger.join(study, member.asset).map_err(CliError::from) {
            Ok(_) => {}
            Err(error) if error.code() == Code::NoConsent => {
                context
                    .console
                    .warn(format!("{} takes no part: {}", member.entry.name, error.reason()));
                left_out.push((member.entry.name.clone(), error));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(left_out)
}
