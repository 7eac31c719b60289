//! A run as the chain has it, for people and programs.

use counterweight_federated::{
    ledger::{Phase, StudyReader as _, StudyState},
    study::{
        privacy::Privacy,
        terms::{MOST_BYTES, PublicTerms},
    },
};
use counterweight_primitives::{Address, Amount, AssetId, ContentDigest, Ppm, StudyId};
use serde_json::{Value, json};

use crate::{
    error::CliError,
    output::{Answer, Cell, Table, Tone},
    session::{Assets, Contracts, Session},
};

/// A member of a run.
#[derive(Debug, Clone)]
pub(crate) struct MemberSummary {
    /// Name of its dataset.
    pub(crate) name: String,
    /// Its account.
    pub(crate) account: Address,
    /// Its dataset.
    pub(crate) dataset: AssetId,
    /// Rounds it survived.
    pub(crate) survived: u32,
    /// What it contributed.
    pub(crate) contribution: Ppm,
    /// What it earned.
    pub(crate) reward: Amount,
    /// Whether reward and bond were paid out.
    pub(crate) claimed: bool,
}

/// A run.
#[derive(Debug, Clone)]
pub(crate) struct RunSummary {
    /// Its number.
    pub(crate) study: StudyId,
    /// As the chain has it.
    pub(crate) state: StudyState,
    /// Its terms, where the bytes are at hand.
    pub(crate) terms: Option<PublicTerms>,
    /// Its members.
    pub(crate) members: Vec<MemberSummary>,
    /// Full name of its model, if published.
    pub(crate) model: Option<String>,
    /// Full name of the registered model that it started from.
    pub(crate) base: Option<String>,
}

impl RunSummary {
    /// Reads a run.
    ///
    /// # Errors
    /// Those of the chain.
    pub(crate) fn read(
        session: &Session<'_>,
        contracts: &Contracts,
        assets: &Assets,
        study: StudyId,
    ) -> Result<Self, CliError> {
        let state = contracts.reader.study(study)?;
        let terms = session.blobs.get(&state.terms, MOST_BYTES as u64).ok();
        let terms = terms.and_then(|bytes| PublicTerms::from_bytes(&bytes).ok());
        let members = state.members.iter().map(|member| MemberSummary {
            name: assets
                .by_id(member.dataset)
                .map_or_else(|| format!("asset-{}", member.dataset), |a| a.name()),
            account: member.account,
            dataset: member.dataset,
            survived: member.survived,
            contribution: member.contribution,
            reward: member.reward,
            claimed: member.claimed,
        });
        let members = members.collect();
        let named = |id: Option<AssetId>| id.and_then(|id| assets.by_id(id)).map(|asset| asset.full_name());
        let (model, base) = (named(state.model), named(state.base_model));
        Ok(Self {
            study,
            state,
            terms,
            members,
            model,
            base,
        })
    }

    /// Its phase in a word.
    pub(crate) fn phase(&self) -> &'static str {
        match self.state.phase {
            Phase::Enrolling => "enrolling",
            Phase::Running => "running",
            Phase::Finished => "finished",
            Phase::Cancelled => "cancelled",
            Phase::Abandoned => "abandoned",
        }
    }

    /// Its phase with a colour.
    pub(crate) fn phase_cell(&self) -> Cell {
        let tone = match self.state.phase {
            Phase::Finished => Tone::Good,
            Phase::Enrolling | Phase::Running => Tone::Type,
            Phase::Cancelled | Phase::Abandoned => Tone::Warn,
        };
        Cell::State(tone, self.phase().to_owned())
    }

    /// Name of its study, where the terms are at hand.
    pub(crate) fn name(&self) -> String {
        self.terms
            .as_ref()
            .map_or_else(|| "-".to_owned(), |terms| terms.study.clone())
    }

    /// Digest of the model that it started from, where that was not seeded and the terms are at hand.
    pub(crate) fn start(&self) -> Option<ContentDigest> {
        self.terms.as_ref()?.start
    }

    fn promise(&self) -> Option<&Privacy> {
        self.terms.as_ref()?.privacy.as_ref()
    }

    /// What was spent of its privacy, where it promises any.
    pub(crate) fn privacy(&self) -> Option<String> {
        let budget = self.state.epsilon_budget?;
        let spent = format!("epsilon {:.4} of {budget} spent", self.state.spent_epsilon.get());
        Some(match self.promise() {
            None => spent,
            Some(promise) => format!(
                "{spent}, for each {} at delta {}",
                promise.unit(),
                promise.budget().delta
            ),
        })
    }

    /// Who contributed and earned what.
    pub(crate) fn table(&self, contracts: &Contracts) -> Table {
        let symbol = &contracts.money.symbol;
        let mut table = Table::new([
            "member",
            "rounds",
            "contribution",
            &format!("earned {symbol}"),
            "paid",
            "account",
        ]);
        for member in &self.members {
            let paid = match (member.claimed, self.state.phase) {
                (true, _) => Cell::State(Tone::Good, "paid out".to_owned()),
                (false, Phase::Finished | Phase::Abandoned) => Cell::State(Tone::Type, "to claim".to_owned()),
                (false, _) => Cell::text("-"),
            };
            table.push([
                Cell::text(&member.name),
                Cell::number(member.survived),
                Cell::number(member.contribution),
                Cell::number(amount(contracts, member.reward)),
                paid,
                Cell::Account(member.account),
            ]);
        }
        table
    }

    /// Its JSON form.
    pub(crate) fn json(&self, contracts: &Contracts) -> Value {
        let members: Vec<Value> = self
            .members
            .iter()
            .map(|member| {
                json!({
                    "name": member.name,
                    "account": member.account,
                    "dataset": member.dataset,
                    "survived": member.survived,
                    "contribution_ppm": member.contribution,
                    "reward": member.reward,
                    "claimed": member.claimed,
                })
            })
            .collect();
        json!({
            "run": self.study,
            "study": self.terms.as_ref().map(|terms| &terms.study),
            "phase": self.phase(),
            "terms": self.state.terms,
            "base": self.base,
            "start": self.start(),
            "rounds": {"planned": self.state.rounds, "closed": self.state.closed_rounds},
            "members": members,
            "result": self.state.result,
            "model": self.model,
            "token": {
                "address": self.state.token,
                "symbol": contracts.money.symbol,
                "decimals": contracts.money.decimals,
            },
            "budget": self.state.budget,
            "bond": self.state.bond,
            "privacy": self.state.epsilon_budget.map(|budget| json!({
                "unit": self.promise().map(Privacy::unit),
                "delta": self.promise().map(|promise| promise.budget().delta),
                "spent_micro_epsilon": self.state.spent_epsilon,
                "budget_micro_epsilon": budget,
            })),
        })
    }

    /// Adds it to an answer.
    pub(crate) fn show(&self, answer: Answer, contracts: &Contracts) -> Answer {
        let Value::Object(fields) = self.json(contracts) else {
            return answer;
        };
        let answer = fields
            .into_iter()
            .fold(answer, |answer, (name, value)| answer.json(&name, value));
        answer.id(self.study.to_string())
    }
}

/// An amount in whole tokens.
pub(crate) fn amount(contracts: &Contracts, amount: Amount) -> String {
    let text = amount.to_tokens(contracts.money.decimals);
    // To four digits for people: the JSON form has every digit.
    match text.split_once('.') {
        Some((whole, part)) if part.len() > 4 => format!("{whole}.{}", &part[..4]),
        _ => text,
    }
}
