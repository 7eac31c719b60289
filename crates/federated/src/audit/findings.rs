//! Collects what is wrong or missing, check by check.

use counterweight_primitives::{ContentDigest, MemberIndex, Round};
use counterweight_provenance::blobs::BlobError;

use super::{Check, CheckKind, Finding, Verdict};

/// A check while it is made.
pub(super) struct Findings {
    kind: CheckKind,
    found: Vec<Finding>,
    /// Things looked at.
    looked_at: usize,
}

/// Where a finding belongs.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) round: Option<Round>,
    pub(super) member: Option<MemberIndex>,
    pub(super) digest: Option<ContentDigest>,
}

impl Findings {
    pub(super) fn new(kind: CheckKind) -> Self {
        Self {
            kind,
            found: Vec::new(),
            looked_at: 0,
        }
    }

    /// Something was looked at.
    pub(super) fn look(&mut self) {
        self.looked_at += 1;
    }

    pub(super) fn wrong(&mut self, place: Place, problem: impl ToString) {
        self.add(Verdict::No, place, problem);
    }

    pub(super) fn unknown(&mut self, place: Place, problem: impl ToString) {
        self.add(Verdict::Unknown, place, problem);
    }

    /// A blob that could not be had: unknown where it is not there, wrong where its bytes are others.
    pub(super) fn blob(&mut self, place: Place, error: &BlobError) {
        match error {
            BlobError::Corrupted { .. } | BlobError::TooLarge { .. } => self.wrong(place, error),
            BlobError::Missing { .. } => self.unknown(place, error),
            error => self.unknown(place, with_causes(error)),
        }
    }

    fn add(&mut self, verdict: Verdict, place: Place, problem: impl ToString) {
        self.found.push(Finding {
            verdict,
            round: place.round.map(|round| round.0),
            member: place.member.map(|member| member.0),
            digest: place.digest,
            problem: problem.to_string(),
        });
    }

    /// The answer; `holds` says what holds if nothing was found, given the number of things looked at.
    pub(super) fn close(self, holds: impl FnOnce(usize) -> String) -> Check {
        let verdict = self
            .found
            .iter()
            .map(|finding| finding.verdict)
            .max()
            .unwrap_or(Verdict::Yes);
        let worst = self.found.iter().find(|finding| finding.verdict == verdict);
        let sentence = match worst {
            None => holds(self.looked_at),
            Some(finding) => {
                let others = self.found.iter().filter(|other| other.verdict == verdict).count() - 1;
                let more = if others == 0 {
                    String::new()
                } else {
                    format!(" (and {others} more)")
                };
                format!("{}{}{more}", place_of(finding), finding.problem)
            }
        };
        Check {
            check: self.kind,
            verdict,
            sentence,
            findings: self.found,
        }
    }
}

fn place_of(finding: &Finding) -> String {
    match (finding.round, finding.member) {
        (Some(round), Some(member)) => format!("round {round}, member {member}: "),
        (Some(round), None) => format!("round {round}: "),
        (None, Some(member)) => format!("member {member}: "),
        (None, None) => String::new(),
    }
}

/// An error and its causes in one line.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
