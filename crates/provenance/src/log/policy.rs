//! Which logs and witnesses are trusted: C2SP tlog-policy files.
//!
//! A checkpoint is valid under a policy where one of its logs signed it and its quorum of witnesses cosigned it.
//!
//! # Differences from the specification
//!
//! - A file is UTF-8, which the specification recommends; it asks for octets that are not looked at.
//! - At most 1,024 logs, witnesses and groups together.

use std::collections::BTreeMap;

use counterweight_primitives::UnixSeconds;

use super::{
    cosignature::CosignerKey,
    note::{Checkpoint, Note, NoteError, SignedCheckpoint, VerifierKey},
};

/// Most lines that define something.
const MOST_DEFINITIONS: usize = 1_024;

/// Why a policy file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the policy: {reason}")]
pub struct PolicyError {
    /// Line, counted from 1; the number of lines where something is missing.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Why a checkpoint is not valid under a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UntrustedError {
    /// The note or a signature of a known key does not hold.
    #[error("the checkpoint does not hold")]
    Note(#[from] NoteError),
    /// No log of the policy has this origin.
    #[error("the policy has no log {origin:?}")]
    UnknownLog {
        /// Origin found.
        origin: String,
    },
    /// Too few witnesses cosigned.
    #[error("the witnesses {found:?} are no quorum ({quorum} is needed)")]
    NoQuorum {
        /// Name of the group or witness that is needed.
        quorum: String,
        /// Names of the witnesses whose cosignatures held.
        found: Vec<String>,
    },
}

/// A policy.
#[derive(Debug, Clone)]
pub struct Policy {
    logs: Vec<(VerifierKey, Option<String>)>,
    witnesses: BTreeMap<String, (CosignerKey, Option<String>)>,
    groups: BTreeMap<String, Group>,
    quorum: Option<String>,
}

#[derive(Debug, Clone)]
struct Group {
    threshold: usize,
    members: Vec<String>,
}

/// A checkpoint that is valid under a policy. Made only by [`Policy::check`].
#[derive(Debug, Clone)]
pub struct TrustedCheckpoint {
    checkpoint: SignedCheckpoint,
    witnesses: Vec<(String, UnixSeconds)>,
}

impl TrustedCheckpoint {
    /// The checkpoint, whose log's signature held.
    #[must_use]
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// The policy's names of the witnesses that cosigned it, each with the time it gave.
    #[must_use]
    pub fn witnesses(&self) -> &[(String, UnixSeconds)] {
        &self.witnesses
    }
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// [`PolicyError`] for the first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let mut reader = Reader::default();
        let mut lines = 0;
        for (index, line) in text.split('\n').enumerate() {
            lines = index + 1;
            reader
                .line(line)
                .map_err(|reason| PolicyError { line: lines, reason })?;
        }
        let missing = PolicyError {
            line: lines,
            reason: "there is no quorum line",
        };
        Ok(Self {
            quorum: reader.quorum.ok_or(missing)?,
            ..reader.policy
        })
    }

    /// The logs, each with its address where the file gives one.
    pub fn logs(&self) -> impl Iterator<Item = (&VerifierKey, Option<&str>)> {
        self.logs.iter().map(|(key, url)| (key, url.as_deref()))
    }

    /// The witnesses: name in the policy, key, and address where the file gives one.
    pub fn witnesses(&self) -> impl Iterator<Item = (&str, &CosignerKey, Option<&str>)> {
        self.witnesses
            .iter()
            .map(|(name, (key, url))| (name.as_str(), key, url.as_deref()))
    }

    /// Checks a note as it arrived.
    ///
    /// # Errors
    /// [`UntrustedError`].
    pub fn check(&self, note: &str) -> Result<TrustedCheckpoint, UntrustedError> {
        let parsed = Note::parse(note)?;
        let origin = Checkpoint::parse(parsed.text())?.origin;
        // Several keys may be listed for one log; one signature is enough, and none by a listed key may be bad.
        let mut signed = None;
        let mut missing = None;
        for (key, _) in self.logs.iter().filter(|(key, _)| key.name() == origin) {
            match SignedCheckpoint::verify(note, key) {
                Ok(checkpoint) => signed = Some(checkpoint),
                Err(error @ NoteError::NotSigned { .. }) => missing = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        let checkpoint = match (signed, missing) {
            (Some(checkpoint), _) => checkpoint,
            (None, Some(error)) => return Err(error.into()),
            (None, None) => return Err(UntrustedError::UnknownLog { origin }),
        };
        let mut witnesses = Vec::new();
        for (name, (key, _)) in &self.witnesses {
            if let Some(time) = key.find(&parsed)? {
                witnesses.push((name.clone(), time));
            }
        }
        let found: Vec<String> = witnesses.iter().map(|(name, _)| name.clone()).collect();
        match &self.quorum {
            Some(quorum) if !self.witnessed(quorum, &found) => Err(UntrustedError::NoQuorum {
                quorum: quorum.clone(),
                found,
            }),
            _ => Ok(TrustedCheckpoint {
                checkpoint,
                witnesses,
            }),
        }
    }

    /// Whether a witness cosigned, or enough members of a group did. A group has only names of lines before its own, so
    /// this comes to an end; each name is a member once, so it takes no more steps than there are names.
    fn witnessed(&self, name: &str, found: &[String]) -> bool {
        match self.groups.get(name) {
            Some(group) => {
                let members = group
                    .members
                    .iter()
                    .filter(|member| self.witnessed(member, found));
                members.count() >= group.threshold
            }
            None => found.iter().any(|witness| witness == name),
        }
    }
}

struct Reader {
    policy: Policy,
    /// Names that are members of a group already.
    taken: Vec<String>,
    quorum: Option<Option<String>>,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            policy: Policy {
                logs: Vec::new(),
                witnesses: BTreeMap::new(),
                groups: BTreeMap::new(),
                quorum: None,
            },
            taken: Vec::new(),
            quorum: None,
        }
    }
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), &'static str> {
        if line.chars().any(|c| c < ' ' && c != '\t' || c == '\x7f') {
            return Err("it holds a control character");
        }
        let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        let policy = &self.policy;
        if policy.logs.len() + policy.witnesses.len() + policy.groups.len() > MOST_DEFINITIONS {
            return Err("the policy defines more than 1,024 logs, witnesses and groups");
        }
        match words.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with('#') => Ok(()),
            ["log", key] => self.log(key, None),
            ["log", key, url] => self.log(key, Some(url)),
            ["witness", name, key] => self.witness(name, key, None),
            ["witness", name, key, url] => self.witness(name, key, Some(url)),
            ["group", name, threshold, members @ ..] => self.group(name, threshold, members),
            ["quorum", name] => self.quorum(name),
            _ => Err("it is none of log, witness, group and quorum with their values"),
        }
    }

    fn log(&mut self, key: &str, url: Option<&&str>) -> Result<(), &'static str> {
        let key: VerifierKey = key.parse().map_err(|_| "it holds no Ed25519 log key")?;
        if self
            .policy
            .logs
            .iter()
            .any(|(known, _)| known.key_bytes() == key.key_bytes())
        {
            return Err("the log's key was listed before");
        }
        self.policy.logs.push((key, url.map(|url| (*url).to_owned())));
        Ok(())
    }

    fn witness(&mut self, name: &str, key: &str, url: Option<&&str>) -> Result<(), &'static str> {
        let key: CosignerKey = key.parse().map_err(|_| "it holds no cosigner key")?;
        self.free(name)?;
        let same = |known: &(CosignerKey, Option<String>)| known.0.key_bytes() == key.key_bytes();
        if self.policy.witnesses.values().any(same) {
            return Err("the witness's key was listed before");
        }
        let url = url.map(|url| (*url).to_owned());
        self.policy.witnesses.insert(name.to_owned(), (key, url));
        Ok(())
    }

    fn group(&mut self, name: &str, threshold: &str, members: &[&str]) -> Result<(), &'static str> {
        self.free(name)?;
        if members.is_empty() {
            return Err("the group has no members");
        }
        for member in members {
            if !self.known(member) {
                return Err("a member is not defined on a line before");
            }
            if self.taken.iter().any(|taken| taken == member) {
                return Err("a member is in a group already");
            }
            self.taken.push((*member).to_owned());
        }
        let threshold = match threshold {
            "any" => 1,
            "all" => members.len(),
            digits => {
                let number = digits.parse().ok().filter(|n: &usize| n.to_string() == digits);
                number.ok_or("the threshold is none of any, all and a number")?
            }
        };
        if threshold == 0 || threshold > members.len() {
            return Err("the threshold is 0, or more than there are members");
        }
        let members = members.iter().map(|member| (*member).to_owned()).collect();
        self.policy
            .groups
            .insert(name.to_owned(), Group { threshold, members });
        Ok(())
    }

    fn quorum(&mut self, name: &str) -> Result<(), &'static str> {
        if self.quorum.is_some() {
            return Err("there is a second quorum line");
        }
        if name == "none" {
            self.quorum = Some(None);
        } else if self.known(name) {
            self.quorum = Some(Some(name.to_owned()));
        } else {
            return Err("the quorum is not defined on a line before");
        }
        Ok(())
    }

    fn known(&self, name: &str) -> bool {
        self.policy.witnesses.contains_key(name) || self.policy.groups.contains_key(name)
    }

    fn free(&self, name: &str) -> Result<(), &'static str> {
        match name {
            "none" => Err("none is no name for a witness or group"),
            name if self.known(name) => Err("the name was given before"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use counterweight_primitives::Sha256Digest;
    use proptest::prelude::*;

    use super::*;
    use crate::log::{cosignature::Cosigner, note::NoteSigner};

    fn log() -> NoteSigner {
        NoteSigner::from_secret("example.com/log", &[7; 32]).unwrap()
    }

    fn witness(number: u8) -> Cosigner {
        let name = format!("witness.example/{number}");
        if number.is_multiple_of(2) {
            Cosigner::ml_dsa_44(&name, &[number; 32]).unwrap()
        } else {
            Cosigner::ed25519(&name, &[number; 32]).unwrap()
        }
    }

    /// The policy of the specification: two of the first three, and any of the last three.
    fn policy() -> String {
        let mut text = format!("# logs\nlog {}  https://example.com/log\n\n", log().verifier());
        for number in 1..=6 {
            let name = if number < 4 { "X" } else { "Y" };
            text += &format!("\twitness {name}{number} {}\n", witness(number).key());
        }
        text + "group X-witnesses 2 X1 X2 X3\ngroup Y-witnesses any Y4 Y5 Y6\n\
                group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
    }

    fn note(witnesses: &[u8]) -> String {
        let checkpoint = Checkpoint {
            origin: "example.com/log".to_owned(),
            size: 3,
            root: Sha256Digest([9; 32]),
        };
        let mut note = Note::parse(checkpoint.sign(&log()).unwrap().note()).unwrap();
        for number in witnesses {
            note.add(
                witness(*number)
                    .cosign(&note, UnixSeconds(u64::from(*number)))
                    .unwrap(),
            );
        }
        note.to_string()
    }

    #[test]
    fn a_quorum_is_what_the_groups_say() {
        let policy = Policy::parse(&policy()).unwrap();
        let trusted = policy.check(&note(&[1, 2, 6])).unwrap();
        let times: Vec<_> = trusted
            .witnesses()
            .iter()
            .map(|(name, time)| (name.as_str(), time.0))
            .collect();
        assert_eq!(times, [("X1", 1), ("X2", 2), ("Y6", 6)]);
        assert_eq!(trusted.checkpoint().checkpoint().size, 3);
        policy.check(&note(&[1, 2, 3, 4, 5, 6])).unwrap();
        for too_few in [&[][..], &[1, 2], &[1, 4, 5, 6], &[4, 5]] {
            let error = policy.check(&note(too_few)).unwrap_err();
            assert!(
                matches!(error, UntrustedError::NoQuorum { .. }),
                "{too_few:?}: {error}"
            );
        }
    }

    #[test]
    fn strangers_and_bad_signatures_do_not_count() {
        let text = policy();
        let policy = Policy::parse(&text).unwrap();
        assert!(policy.check(&note(&[1, 2, 6, 7])).is_ok());
        // A known witness's signature taken from another checkpoint.
        let theirs = note(&[1, 2, 6]);
        let other = theirs.replace("\n3\n", "\n4\n");
        assert!(matches!(policy.check(&other), Err(UntrustedError::Note(_))));
        let stranger = NoteSigner::from_secret("example.com/other", &[7; 32]).unwrap();
        let renamed = text.replace(&log().verifier().to_string(), &stranger.verifier().to_string());
        let error = Policy::parse(&renamed).unwrap().check(&theirs).unwrap_err();
        assert!(matches!(error, UntrustedError::UnknownLog { .. }));
    }

    #[test]
    fn no_cosignatures_are_needed_where_the_file_says_so() {
        let text = format!("log {}\nquorum none", log().verifier());
        assert!(
            Policy::parse(&text)
                .unwrap()
                .check(&note(&[]))
                .unwrap()
                .witnesses()
                .is_empty()
        );
        // An application may know its log from elsewhere: the file is one, and trusts none.
        assert!(Policy::parse("quorum none").unwrap().check(&note(&[])).is_err());
    }

    #[test]
    fn every_broken_line_is_refused_by_its_number() {
        let good = policy();
        Policy::parse(&good).unwrap();
        let key = witness(9).key().to_string();
        for (line, reason) in [
            ("quorum X1", "there is a second quorum line"),
            ("group again 1 X1", "a member is in a group already"),
            ("group late any Z", "a member is not defined on a line before"),
            ("group none any X1", "none is no name for a witness or group"),
            ("group X1 any Y4", "the name was given before"),
            ("group empty all", "the group has no members"),
            ("witness X1 KEY", "the name was given before"),
            ("witness new nokey", "it holds no cosigner key"),
            ("log nokey", "it holds no Ed25519 log key"),
            (
                "log",
                "it is none of log, witness, group and quorum with their values",
            ),
            (
                "LOG x",
                "it is none of log, witness, group and quorum with their values",
            ),
            ("# \u{7}", "it holds a control character"),
        ] {
            let text = format!("{good}{}", line.replace("KEY", &key));
            let error = Policy::parse(&text).unwrap_err();
            assert_eq!((error.line, error.reason), (good.lines().count() + 1, reason));
        }
        for threshold in ["0", "4", "02", "-1", "most"] {
            let text = good.replace("X-witnesses 2", &format!("X-witnesses {threshold}"));
            assert!(Policy::parse(&text).is_err(), "{threshold}");
        }
        let twice = good.replace(
            "witness Y6",
            &format!("witness Z {}\nwitness Y6", witness(6).key()),
        );
        assert!(Policy::parse(&twice).is_err());
        assert!(Policy::parse("").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text: String, words in proptest::collection::vec("(log|witness|group|quorum|any|all|[0-9]|X|Y| |\n)", 0..60)) {
            let _ = Policy::parse(&text);
            let _ = Policy::parse(&words.join(" "));
        }
    }
}
