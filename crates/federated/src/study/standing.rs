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

#[cfg(test)]
mod tests {
    use crate::study::{
        Scoring, StudyConfig,
        terms::{CommittedFiles, PublicTerms},
    };

    /// Five clinics that fill one group of three.
    fn study(training: &str, clinics: usize, holdout: bool) -> StudyConfig {
        let clinics: String = (0..clinics)
            .map(|number| {
                format!("[[dataset]]\nname = \"c{number}\"\npath = \"c{number}.csv\"\nlicence = \"CC0-1.0\"\nconsent = [\"research\"]\n")
            })
            .collect();
        let holdout = if holdout {
            "[holdout]\npath = \"h.csv\"\n"
        } else {
            ""
        };
        let text = format!(
            "[study]\nname = \"s\"\npurpose = \"research\"\n[model]\nname = \"m\"\narchitecture = \"logistic\"\n\
             [training]\nrounds = 20\nquorum = 3\nlocal-steps = 5\nlr = 0.1\n{training}\n\
             [data]\ncolumns = [\"x\", {{ name = \"y\", role = \"label\" }}]\nlabel = \"y\"\n{holdout}{clinics}"
        );
        toml::from_str(&text).unwrap()
    }

    fn broken(training: &str, clinics: usize, holdout: bool) -> String {
        study(training, clinics, holdout).check().unwrap_err().key
    }

    const MASKED: &str = "masking = { group-size = 3, most-examples = 100 }\nscoring = \"participation\"";

    #[test]
    fn terms_hold_standing_and_scoring_only_where_they_are_written() {
        let plain = study("", 5, true);
        assert_eq!(plain.check(), Ok(()));
        let bytes = plain.public_terms(CommittedFiles::default()).to_bytes().unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("standing") && !text.contains("scoring"));
        let written =
            format!("{MASKED}\nstanding = {{ vesting-rounds = 4, outlier = 3, appeal-time = \"2h\" }}");
        let study = study(&written, 5, true);
        assert_eq!(study.check(), Ok(()));
        let terms = study.public_terms(CommittedFiles::default());
        assert_eq!(terms.scoring, Scoring::Participation);
        assert_eq!(terms.vesting_rounds(), 4);
        let exclusion = terms.exclusion().unwrap();
        assert_eq!((exclusion.patience, exclusion.appeal_seconds), (20, 7_200));
        assert_eq!(
            PublicTerms::from_bytes(&terms.to_bytes().unwrap()).unwrap(),
            terms
        );
    }

    #[test]
    fn participation_is_for_masked_members_of_one_group_of_whom_one_can_be_spared() {
        assert_eq!(study(MASKED, 5, true).check(), Ok(()));
        assert_eq!(study(MASKED, 0, true).check(), Ok(()));
        assert_eq!(broken("scoring = \"participation\"", 5, true), "training.scoring");
        assert_eq!(broken(MASKED, 5, false), "training.scoring");
        assert_eq!(broken(MASKED, 6, true), "training.scoring");
        assert_eq!(broken(MASKED, 3, true), "training.scoring");
        let drawn = format!("{MASKED}\nmembers-per-round = 4");
        assert_eq!(broken(&drawn, 5, true), "training.members-per-round");
    }

    #[test]
    fn exclusion_asks_for_a_hold_out_an_outlier_and_time() {
        for (written, key) in [
            ("vesting-rounds = 21", "vesting-rounds"),
            ("patience = 5", "patience"),
            ("appeal-time = \"1h\"", "appeal-time"),
            (
                "arbiter = \"0x70997970C51812dc3A010C7d01b50e0d17dc79C8\"",
                "arbiter",
            ),
            ("outlier = 0", "outlier"),
            ("outlier = 3, patience = 0", "patience"),
            ("outlier = 3, appeal-time = \"0s\"", "appeal-time"),
        ] {
            let standing = format!("standing = {{ {written} }}");
            assert_eq!(broken(&standing, 5, true), format!("training.standing.{key}"));
        }
        let key = broken("standing = { outlier = 3 }", 5, false);
        assert_eq!(key, "training.standing.outlier");
    }
}
