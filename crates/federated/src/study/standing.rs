//! `[training.standing]`: how long a member is scored before it is paid, and who is proposed for exclusion.

use counterweight_primitives::Address;
use serde::{Deserialize, Serialize};

use super::{Scoring, Seconds, StudyConfig};
use crate::{decimal::Decimal, ledger::standing::StandingSetting, scoring::StandingRules};

/// Longest time for an appeal: a year.
const LONGEST_APPEAL: u32 = 366 * 86_400;
/// Most rounds of a study, so also of patience.
const MOST_ROUNDS: u32 = 100_000;

/// Pay and exclusion, as terms hold them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Standing {
    /// Scored rounds without which a member is not paid.
    pub vesting_rounds: u32,
    /// Who is proposed for exclusion; nobody if absent, and then left out of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusion: Option<Exclusion>,
}

/// Who is proposed for exclusion, and who decides appeals.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Exclusion {
    /// Values more than so many deviations below the members' median are an outlier's.
    pub outlier: Decimal,
    /// The rounds whose values are compared, and so many outlying ones in a row propose an exclusion.
    pub patience: u32,
    /// Time for an appeal, and for its decision.
    pub appeal_seconds: u32,
    /// Who decides appeals; the sponsor if absent, and then left out of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arbiter: Option<Address>,
}

/// `[training.standing]` as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StandingSection {
    /// As [`Standing::vesting_rounds`].
    #[serde(default = "ten")]
    pub vesting_rounds: u32,
    /// As [`Exclusion::outlier`]; without it nobody is proposed for exclusion.
    pub outlier: Option<Decimal>,
    /// As [`Exclusion::patience`]; 20 if absent.
    pub patience: Option<u32>,
    /// As [`Exclusion::appeal_seconds`]; a day if absent.
    pub appeal_time: Option<Seconds>,
    /// As [`Exclusion::arbiter`].
    pub arbiter: Option<Address>,
}

fn ten() -> u32 {
    10
}

impl StandingSection {
    /// As terms hold it.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing {
            vesting_rounds: self.vesting_rounds,
            exclusion: self.outlier.map(|outlier| Exclusion {
                outlier,
                patience: self.patience.unwrap_or(20),
                appeal_seconds: self.appeal_time.map_or(86_400, |time| time.0),
                arbiter: self.arbiter,
            }),
        }
    }
}

impl Standing {
    /// Whether each setting is in its range; otherwise the setting's key and what is expected of it.
    ///
    /// # Errors
    /// Key and expectation.
    pub fn check(&self, rounds: u32) -> Result<(), (&'static str, String)> {
        if self.vesting_rounds > rounds {
            let problem = format!(
                "{} is more than the {rounds} rounds: nobody would be paid",
                self.vesting_rounds
            );
            return Err(("vesting-rounds", problem));
        }
        let Some(exclusion) = &self.exclusion else {
            return Ok(());
        };
        let outlier = exclusion.outlier.get();
        if !(0.5..=1000.0).contains(&outlier) {
            return Err(("outlier", format!("{outlier} is not from 0.5 to 1000 deviations")));
        }
        for (key, value, most) in [
            ("patience", exclusion.patience, MOST_ROUNDS),
            ("appeal-time", exclusion.appeal_seconds, LONGEST_APPEAL),
        ] {
            if !(1..=most).contains(&value) {
                return Err((key, format!("{value} is not from 1 to {most}")));
            }
        }
        Ok(())
    }
}

impl Exclusion {
    /// What the ledger must say; without an arbiter of its own, that is the ledger's affair.
    #[must_use]
    pub fn agrees_with(&self, setting: &StandingSetting) -> bool {
        self.appeal_seconds == setting.appeal_seconds
            && self.arbiter.is_none_or(|arbiter| arbiter == setting.arbiter)
    }

    /// When a member is an outlier.
    #[must_use]
    pub fn rules(&self) -> StandingRules {
        StandingRules {
            outlier: self.outlier.get(),
            patience: self.patience,
        }
    }
}

/// Holds `training.scoring` and `[training.standing]` to their rules; otherwise the key under `training` and what is wrong.
pub(super) fn check(config: &StudyConfig) -> Result<(), (String, String)> {
    let training = &config.training;
    let refuse = |key: &str, problem: String| Err((key.to_owned(), problem));
    if training.scoring == Scoring::Participation {
        let Some(masking) = &training.masking else {
            let problem = "\"participation\" is for masked studies: where updates are public, leaving each one out tells more";
            return refuse("scoring", problem.to_owned());
        };
        if config.holdout.is_none() {
            return refuse("scoring", "\"participation\" needs a [holdout] table".to_owned());
        }
        if training.members_per_round.is_some() {
            let problem = "with \"participation\" a beacon decides who sits out: leave it out";
            return refuse("members-per-round", problem.to_owned());
        }
        let (own, group) = (config.datasets.len(), usize::from(masking.group_size));
        if own >= 2 * group {
            let problem = format!(
                "{own} members fill {} groups, which tell more: leave out \"participation\"",
                own / group
            );
            return refuse("scoring", problem);
        }
        let fewest = group.max(usize::from(training.quorum));
        if own > 0 && own <= fewest {
            let problem = format!(
                "{own} members, and a round takes {fewest}: nobody can sit out for \"participation\""
            );
            return refuse("scoring", problem);
        }
        let needed = own as u64 + 2;
        if u64::from(training.rounds) < needed {
            let problem = format!(
                "{} are too few for \"participation\", which takes {needed}",
                training.rounds
            );
            return refuse("rounds", problem);
        }
    }
    let Some(section) = &training.standing else {
        return Ok(());
    };
    if section.outlier.is_none() {
        for (key, written) in [
            ("patience", section.patience.is_some()),
            ("appeal-time", section.appeal_time.is_some()),
            ("arbiter", section.arbiter.is_some()),
        ] {
            if written {
                let problem = "without outlier nobody is proposed for exclusion: write both or neither";
                return refuse(&format!("standing.{key}"), problem.to_owned());
            }
        }
    } else if config.holdout.is_none() {
        let problem = "without a [holdout] table every member counts the same, and none is an outlier";
        return refuse("standing.outlier", problem.to_owned());
    }
    let standing = section.standing();
    let checked = standing.check(training.rounds);
    checked.map_err(|(key, problem)| (format!("standing.{key}"), problem))
}
