//! `cw dispute claim`: say with a bond what a network answers.

use std::path::{Path, PathBuf};

use counterweight_chain::ledger::disputes::{LoggedClaim, Terms};
use counterweight_inference::{
    Answer as Given,
    dispute::{BLOCK_BYTES, CommittedTrace},
};

use super::{
    court::{Court, Known, claim_id, claim_name, model_name, refused},
    hidden,
};
use crate::{
    arguments::{Coins, Seconds, ThingName},
    commands::{
        Context,
        infer::{show, warn_of_clamped},
        prove::read_context,
    },
    error::{CliError, Code},
    inference::{Store, hex_word, read_row},
    output::{Answer, Cell},
    project::Project,
    session::Session,
    training::sponsor_key,
};

/// What to claim, on which terms.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The network, whose weights are public
    #[arg(required_unless_present = "proof", conflicts_with = "proof")]
    name: Option<ThingName>,
    /// The row, a JSON list or object; `-` for standard input. It becomes public
    #[arg(
        long,
        short,
        value_name = "FILE",
        required_unless_present = "proof",
        conflicts_with = "proof"
    )]
    input: Option<PathBuf>,
    /// What the claim is for, 32 bytes as context:HEX, such as a job's hash
    #[arg(long, value_name = "context:HEX", value_parser = read_context, conflicts_with = "proof")]
    context: Option<[u8; 32]>,
    /// Claim what this proof shows, of a network with hidden weights, and keep the proof until somebody asks for it
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    /// Percent of such claims that lots choose to be proven unasked
    #[arg(long, value_name = "PERCENT", default_value_t = 0, requires = "proof", value_parser = clap::value_parser!(u32).range(0..=100))]
    audit: u32,
    /// How long anyone may challenge it
    #[arg(long, value_name = "TIME", default_value = "24h")]
    window: Seconds,
    /// How long each move of a challenge may take
    #[arg(long, value_name = "TIME", default_value = "6h")]
    response: Seconds,
    /// What this account stakes on it
    #[arg(long, value_name = "COINS", default_value = "0.1eth")]
    bond: Coins,
    /// What a challenger stakes
    #[arg(long, value_name = "COINS", default_value = "0.02eth")]
    challenge_bond: Coins,
    /// Percent of a lost bond that nobody gets, 25 to 50
    #[arg(long, value_name = "PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(25..=50))]
    burn: u32,
}

/// Claims.
///
/// # Errors
/// [`Code::UnknownName`], [`Code::InputUnfit`], [`Code::NothingYet`] where the weights were not published, those of the chain.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Answer, CliError> {
    let terms = terms(arguments)?;
    match (&arguments.proof, &arguments.name, &arguments.input) {
        (Some(file), ..) => hidden::claim(file, terms, context),
        (None, Some(name), Some(input)) => open(&name.0, input, arguments, terms, context),
        _ => Err(CliError::new(
            Code::BadValue,
            "a claim is about a network and a row, or about a proof",
        )
        .fix("cw dispute claim NETWORK --input row.json")),
    }
}

/// Claims an answer of a network with public weights.
fn open(
    name: &str,
    input: &Path,
    arguments: &Arguments,
    terms: Terms,
    context: &Context,
) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    let known = Known::new(name.to_owned(), Store::of(&project).model(name)?);
    let row = read_row(input, known.model.card())?;
    warn_of_clamped(&row, context);
    let network = known.model.network();
    let unfit = |error: &dyn std::error::Error| {
        CliError::new(Code::InputUnfit, error.to_string()).fix("correct the row")
    };
    let trace = network.trace(&row.values).map_err(|error| unfit(&error))?;
    let trace = CommittedTrace::of(network, &trace);
    let given = Given::from_bytes(network.architecture(), trace.output())
        .map_err(|error| CliError::fault(error.to_string()))?;
    let session = Session::open(&project, context)?;
    let model = known.committed.id().0;
    let (committed, metadata) = (known.committed.clone(), known.model.metadata().clone());
    let court = Court::with(&session, vec![known])?;
    if !court.reader.is_registered(model).map_err(refused)? {
        return Err(CliError::new(
            Code::NothingYet,
            format!("the weights of {name} are not published on this network"),
        )
        .why("an answer can be disputed only where everybody can have the weights")
        .fix(format!("cw model publish {name} --open")));
    }
    let key = sponsor_key(&session, context.global.key.as_ref())?;
    let party = court.acting_for(&key);
    let bound_to = arguments.context.unwrap_or_default();
    let answer = show(
        Answer::new("dispute-claim/1")
            .json("network", name)
            .json("open_model", model_name(&model))
            .json("context", hex_word(&bound_to))
            .json("claimant", party.account().to_string())
            .json("bond_wei", terms.claim_bond_wei.to_string())
            .json("challenge_bond_wei", terms.challenge_bond_wei.to_string()),
        &metadata,
        &given,
    );
    if context.global.dry_run {
        return Ok(answer.line(format!(
            "{} would stake {} on it; nothing was sent: --dry-run",
            party.account(),
            arguments.bond
        )));
    }
    let with_input = row.values.len() <= BLOCK_BYTES;
    let claim = party
        .claim(&committed, &trace, bound_to, terms, with_input)
        .map_err(refused)?;
    Ok(made(answer, &claim))
}

/// Says what a claim that was made is called, and until when it can be challenged.
pub(super) fn made(answer: Answer, claim: &LoggedClaim) -> Answer {
    let id = claim_id(claim);
    answer
        .json("claim", id.as_str())
        .json("made_at", claim.made_at.to_rfc3339())
        .json("window_ends", claim.window_ends().to_rfc3339())
        .fields([
            ("claim", Cell::text(&id)),
            ("staked", Cell::text(Coins(claim.claim_bond_wei()).to_string())),
            (
                "challengeable",
                Cell::text(format!("until {}", claim.window_ends().to_rfc3339())),
            ),
        ])
        .id(id)
        .next("cw dispute watch --answer")
        .next(format!("cw dispute settle {}", claim_name(claim)))
}

fn terms(arguments: &Arguments) -> Result<Terms, CliError> {
    let seconds = |option: &str, time: Seconds| {
        let whole = time.0.as_secs();
        u32::try_from(whole)
            .ok()
            .filter(|seconds| (1..=30 * 24 * 3600).contains(seconds) && time.0.subsec_nanos() == 0)
            .ok_or_else(|| {
                CliError::new(
                    Code::BadValue,
                    format!("{option} is a number of seconds up to 720h"),
                )
                .fix(format!("{option} 6h"))
            })
    };
    let bond = |option: &str, coins: Coins| {
        // The contract keeps bonds in 96 bits.
        if coins.0 == 0 || coins.0 >> 96 != 0 {
            return Err(
                CliError::new(Code::BadValue, format!("{option} cannot be {coins}"))
                    .why("without a bond nothing is at stake; a bond fits 96 bits")
                    .fix(format!("{option} 0.1eth")),
            );
        }
        Ok(coins.0)
    };
    Ok(Terms {
        window_seconds: seconds("--window", arguments.window)?,
        response_seconds: seconds("--response", arguments.response)?,
        burnt_ppm: arguments.burn * 10_000,
        audit_ppm: arguments.audit * 10_000,
        claim_bond_wei: bond("--bond", arguments.bond)?,
        challenge_bond_wei: bond("--challenge-bond", arguments.challenge_bond)?,
    })
}
