//! Checks a study from outside, from public data alone.
//!
//! Inputs are the ledger's records, blobs by digest and, where it is public, the hold-out. Each check answers
//! yes, no or unknown, in a sentence, and names what is wrong. Nothing is taken from a file that was not checked
//! against a digest on the ledger, and no file makes it panic.

mod computation;
mod findings;
mod masked;
mod money;
mod privacy;
mod standing;

use counterweight_primitives::{AssetId, ContentDigest, Ppm, StudyId};
use counterweight_provenance::ledger::ConsentReader;
use serde::Serialize;

pub use self::standing::MemberStanding;
use crate::{
    blobs::Blobs,
    ledger::{FinishRecord, LedgerError, RoundRecord, StudyReader, StudyState},
    study::FileFormat,
};

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds.
    Yes,
    /// It cannot be decided from what is at hand.
    Unknown,
    /// It does not hold.
    No,
}

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CheckKind {
    /// The terms are the ones whose digest is on the ledger.
    Terms,
    /// Each update that was counted is the one its member committed.
    Commitments,
    /// Each update that was counted fits the rules of its round.
    Updates,
    /// Groups of masked rounds are those the beacon drew, and their sums those that the records of their members give.
    Masking,
    /// Each round's result is the exact aggregate of its survivors, from the result before.
    Aggregation,
    /// What is kept under a result's digest is that result, for each round that is kept and for the last.
    Results,
    /// What the ledger says of privacy spent is what its rounds spent, within what the terms promise.
    Privacy,
    /// Contributions are the ones that the updates and the hold-out give.
    Contributions,
    /// Members proposed for exclusion are those that the rule gives, and nobody is left out without it.
    Standing,
    /// Rewards are the ones that the contributions give.
    Rewards,
    /// Every dataset allowed the purpose when its member joined and whenever it committed.
    Consent,
    /// The published model is the result of the study.
    Model,
    /// The published model's parents and shares are the ones that the contributions give.
    Lineage,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub check: CheckKind,
    /// The answer.
    pub verdict: Verdict,
    /// The answer in a sentence.
    pub sentence: String,
    /// What is wrong or missing, each precise enough to go and look: round, member, digest.
    pub findings: Vec<Finding>,
}

/// Something wrong or missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How it weighs.
    pub verdict: Verdict,
    /// The round, if it concerns one.
    pub round: Option<u32>,
    /// The member, if it concerns one.
    pub member: Option<u8>,
    /// The blob, if it concerns one.
    pub digest: Option<ContentDigest>,
    /// What is wrong with it.
    pub problem: String,
}

/// Every check of a study.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// The study.
    pub study: StudyId,
    /// Each check, in a fixed order.
    pub checks: Vec<Check>,
    /// Where each member stands after the closed rounds, if all of them could be computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<Vec<MemberStanding>>,
}

impl AuditReport {
    /// No if any check says no, else unknown if any says unknown, else yes.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.checks
            .iter()
            .map(|check| check.verdict)
            .max()
            .unwrap_or(Verdict::Unknown)
    }
}

/// A model as the registry holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedModel {
    /// Its id.
    pub asset: AssetId,
    /// Digest of its content.
    pub content: ContentDigest,
    /// Its parents and their shares.
    pub parents: Vec<(AssetId, Ppm)>,
}

/// The bytes of a hold-out file.
#[derive(Debug, Clone, Copy)]
pub struct HoldoutFile<'a> {
    /// What findings call it, such as its path.
    pub name: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// How it is stored.
    pub format: FileFormat,
}

/// What an audit works from.
pub struct Audit<'a> {
    /// The study.
    pub study: StudyId,
    /// The ledger.
    pub ledger: &'a dyn StudyReader,
    /// What the stewards allowed and when, if that can be read.
    pub consent: Option<&'a dyn ConsentReader>,
    /// Where blobs are looked for. They are checked, whoever keeps them.
    pub blobs: &'a dyn Blobs,
    /// The hold-out, if it is at hand.
    pub holdout: Option<HoldoutFile<'a>>,
    /// The published model, if there is one.
    pub model: Option<&'a PublishedModel>,
}

impl Audit<'_> {
    /// Checks everything. Problems become answers; a ledger that cannot be read makes every answer unknown.
    #[must_use]
    pub fn run(&self) -> AuditReport {
        let mut standing = None;
        let checks = match self.records() {
            Ok(records) => {
                let Records {
                    state,
                    rounds,
                    finish,
                } = &records;
                let finish = finish.as_ref();
                let (terms_check, terms) = self.check_terms(state);
                let mut checks = vec![terms_check];
                let (computed, found) = self.check_computation(&records, terms.as_ref());
                standing = found;
                checks.extend(computed);
                checks.extend(self.check_privacy(&records, terms.as_ref()));
                checks.push(self.check_rewards(state, rounds, finish));
                checks.push(self.check_consent(state, rounds));
                checks.push(self.check_model(state, finish));
                checks.push(self.check_lineage(state, finish));
                checks
            }
            Err(error) => ALL.iter().map(|kind| unreadable(*kind, &error)).collect(),
        };
        AuditReport {
            study: self.study,
            checks,
            standing,
        }
    }

    fn records(&self) -> Result<Records, LedgerError> {
        Ok(Records {
            state: self.ledger.study(self.study)?,
            rounds: self.ledger.rounds(self.study)?,
            finish: self.ledger.finish_record(self.study)?,
        })
    }
}

/// What the ledger says about a study.
struct Records {
    state: StudyState,
    rounds: Vec<RoundRecord>,
    finish: Option<FinishRecord>,
}

/// Every check, in the order of the report.
const ALL: [CheckKind; 10] = [
    CheckKind::Terms,
    CheckKind::Commitments,
    CheckKind::Updates,
    CheckKind::Aggregation,
    CheckKind::Results,
    CheckKind::Contributions,
    CheckKind::Rewards,
    CheckKind::Consent,
    CheckKind::Model,
    CheckKind::Lineage,
];

fn unreadable(kind: CheckKind, error: &LedgerError) -> Check {
    let mut findings = findings::Findings::new(kind);
    findings.unknown(findings::Place::default(), findings::with_causes(error));
    findings.close(|_| String::new())
}
