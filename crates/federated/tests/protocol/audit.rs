//! An auditor with public data only, and one thing spoilt at a time.

use std::sync::Arc;

use counterweight_federated::{
    audit::{Audit, AuditReport, CheckKind, HoldoutFile, PublishedModel, Verdict},
    blobs::{Blobs, MemoryBlobs},
    clock::ManualClock,
    coordinator::StudyOutcome,
    ledger::{FinishRecord, LedgerError, RoundRecord, StudyReader, StudyState},
    member::{Assignment, Member, MemberSetup},
    memory::MemoryLedger,
    parameters::Parameters,
    rules::Rule,
    study::{
        FileFormat,
        privacy::{Privacy, PrivacySection, Unit},
        terms::PublicTerms,
    },
};
use counterweight_primitives::{
    Amount, AssetId, ContentDigest, MemberIndex, Ppm, PurposeIndex, Round, StudyId, UnixSeconds,
};
use counterweight_provenance::{
    blobs::BlobError,
    ledger::{Consent, ConsentChange, ConsentEpoch, ConsentLedger as _, ConsentReader},
    purpose::PurposeSet,
};

use crate::support::{START, Shape, World, account, public_terms};

/// The record of a study, open to changes.
#[derive(Clone)]
struct Record {
    state: StudyState,
    rounds: Vec<RoundRecord>,
    finish: Option<FinishRecord>,
}

impl StudyReader for Record {
    fn study(&self, _: StudyId) -> Result<StudyState, LedgerError> {
        Ok(self.state.clone())
    }
    fn rounds(&self, _: StudyId) -> Result<Vec<RoundRecord>, LedgerError> {
        Ok(self.rounds.clone())
    }
    fn finish_record(&self, _: StudyId) -> Result<Option<FinishRecord>, LedgerError> {
        Ok(self.finish.clone())
    }
    fn now(&self) -> Result<UnixSeconds, LedgerError> {
        Ok(UnixSeconds(0))
    }
}

struct Case {
    world: World,
    outcome: StudyOutcome,
    record: Record,
    model: PublishedModel,
}

impl Case {
    fn new() -> Self {
        Self::with(|_| ())
    }

    /// A study whose terms were changed before it was opened.
    fn with(change: impl FnOnce(&mut PublicTerms)) -> Self {
        let shape = Shape::default();
        let mut terms = public_terms(&shape);
        change(&mut terms);
        let world = World::with_terms(&shape, Arc::new(ManualClock::at(START)), terms);
        let outcome = world.run(&mut world.in_process(0..4)).unwrap();
        let mut record = Record {
            state: world.ledger.study(world.study).unwrap(),
            rounds: world.ledger.rounds(world.study).unwrap(),
            finish: world.ledger.finish_record(world.study).unwrap(),
        };
        record.state.model = Some(AssetId(77));
        let part = |share: Ppm| {
            let part = u64::from(share.millionths()) * u64::from(record.state.lineage_share.millionths());
            Ppm::new((part / 1_000_000) as u32).unwrap()
        };
        let contributors = record
            .state
            .members
            .iter()
            .filter(|member| member.contribution > Ppm::ZERO);
        let parents = contributors
            .map(|member| (member.dataset, part(member.contribution)))
            .collect();
        let model = PublishedModel {
            asset: AssetId(77),
            content: outcome.result,
            parents,
        };
        Self {
            world,
            outcome,
            record,
            model,
        }
    }

    fn audit_with(&self, blobs: &dyn Blobs, holdout: Option<&[u8]>) -> AuditReport {
        let audit = self.world.audit(&self.record, blobs);
        Audit {
            holdout: holdout.map(|bytes| HoldoutFile {
                name: "holdout.csv",
                bytes,
                format: FileFormat::Csv,
            }),
            model: Some(&self.model),
            ..audit
        }
        .run()
    }

    fn audit(&self) -> AuditReport {
        self.audit_with(&self.world.blobs, Some(&self.world.holdout))
    }
}

fn verdict(report: &AuditReport, kind: CheckKind) -> (Verdict, String) {
    let check = report.checks.iter().find(|check| check.check == kind).unwrap();
    (check.verdict, check.sentence.clone())
}

fn assert_no(report: &AuditReport, kind: CheckKind, names: &[&str]) {
    let check = report.checks.iter().find(|check| check.check == kind).unwrap();
    assert_eq!(check.verdict, Verdict::No, "{report:#?}");
    let text = format!("{} {:?}", check.sentence, check.findings);
    for name in names {
        assert!(text.contains(name), "{name} is not in {text}");
    }
    assert_eq!(report.verdict(), Verdict::No);
}

#[test]
fn an_honest_study_gets_a_yes_from_every_check() {
    let report = Case::new().audit();
    for check in &report.checks {
        assert_eq!(check.verdict, Verdict::Yes, "{check:?}");
    }
    assert_eq!(report.checks.len(), 10);
}

#[test]
fn one_flipped_byte_in_any_stored_blob_is_found_and_named() {
    let case = Case::new();
    let digests = case.world.blobs.list();
    assert!(digests.len() > 15, "{}", digests.len());
    for digest in digests {
        let blobs = MemoryBlobs::default();
        for other in case.world.blobs.list() {
            blobs
                .put(&case.world.blobs.get(&other, u64::MAX).unwrap())
                .unwrap();
        }
        blobs.spoil(&digest, |bytes| *bytes.last_mut().unwrap() ^= 1);
        let report = case.audit_with(&blobs, Some(&case.world.holdout));
        // The seeded start is the one blob that no record names: it is computed.
        let first = case.record.rounds[0].base;
        let expected = if digest == first {
            Verdict::Yes
        } else {
            Verdict::No
        };
        assert_eq!(report.verdict(), expected, "{digest}");
        let named = report
            .checks
            .iter()
            .flat_map(|check| &check.findings)
            .any(|f| f.digest == Some(digest));
        assert_eq!(named, digest != first, "{digest}");
    }
}

#[test]
fn a_changed_hold_out_is_found_and_a_missing_one_is_unknown() {
    let case = Case::new();
    let mut changed = case.world.holdout.clone();
    let last = changed.len() - 2;
    changed[last] ^= 1;
    let report = case.audit_with(&case.world.blobs, Some(&changed));
    assert_no(
        &report,
        CheckKind::Contributions,
        &["the hold-out holdout.csv has digest"],
    );
    let report = case.audit_with(&case.world.blobs, None);
    assert_eq!(verdict(&report, CheckKind::Contributions).0, Verdict::Unknown);
    assert_eq!(verdict(&report, CheckKind::Aggregation).0, Verdict::Yes);
}

#[test]
fn a_missing_update_is_unknown_and_named() {
    struct Without(MemoryBlobs, ContentDigest);
    impl Blobs for Without {
        fn put(&self, bytes: &[u8]) -> Result<ContentDigest, BlobError> {
            self.0.put(bytes)
        }
        fn get(&self, digest: &ContentDigest, limit: u64) -> Result<Vec<u8>, BlobError> {
            if *digest == self.1 {
                return Err(BlobError::Missing { digest: *digest });
            }
            self.0.get(digest, limit)
        }
    }
    let case = Case::new();
    let (member, update) = case.record.rounds[1].commitments[2];
    let report = case.audit_with(
        &Without(case.world.blobs.clone(), update),
        Some(&case.world.holdout),
    );
    let (answer, sentence) = verdict(&report, CheckKind::Commitments);
    assert_eq!(answer, Verdict::Unknown);
    assert!(
        sentence.starts_with(&format!("round 2, member {member}: ")),
        "{sentence}"
    );
    assert_eq!(verdict(&report, CheckKind::Aggregation).0, Verdict::Unknown);
    assert_eq!(report.verdict(), Verdict::Unknown);
}

/// Bytes under digests they do not have, as long or short as they like.
struct Hostile(Vec<u8>);

impl Blobs for Hostile {
    fn put(&self, _: &[u8]) -> Result<ContentDigest, BlobError> {
        Err(BlobError::Missing {
            digest: ContentDigest([0; 32]),
        })
    }
    fn get(&self, _: &ContentDigest, _: u64) -> Result<Vec<u8>, BlobError> {
        Ok(self.0.clone())
    }
}

#[test]
fn hostile_blobs_give_no_and_never_a_panic() {
    let case = Case::new();
    let update = case
        .world
        .blobs
        .get(&case.record.rounds[0].commitments[0].1, u64::MAX)
        .unwrap();
    let terms = case.world.terms.to_bytes().unwrap();
    for bytes in [
        Vec::new(),
        vec![0; 1 << 20],
        vec![0xff; 300],
        update.clone(),
        update[..50].to_vec(),
        terms,
    ] {
        let report = case.audit_with(&Hostile(bytes), Some(&case.world.holdout));
        assert_eq!(report.verdict(), Verdict::No);
    }
}

#[test]
fn a_result_that_is_not_the_aggregate_is_found_in_its_round() {
    let mut case = Case::new();
    let other = ContentDigest::of(b"another model");
    case.record.rounds[1].closed.as_mut().unwrap().result = other;
    let report = case.audit();
    assert_no(&report, CheckKind::Aggregation, &["round 2", "the updates give"]);
}

#[test]
fn a_survivor_who_committed_nothing_is_found() {
    let mut case = Case::new();
    case.record.rounds[2]
        .commitments
        .retain(|(member, _)| *member != MemberIndex(1));
    assert_no(
        &case.audit(),
        CheckKind::Commitments,
        &["round 3, member 1", "committed no update"],
    );
}

#[test]
fn a_dropped_survivor_changes_the_aggregate() {
    let mut case = Case::new();
    case.record.rounds[0].closed.as_mut().unwrap().survivors = 0b0111;
    let report = case.audit();
    assert_no(&report, CheckKind::Aggregation, &["round 1"]);
    assert_no(
        &report,
        CheckKind::Rewards,
        &["member 3", "survived 2 rounds, recorded are 3"],
    );
}

#[test]
fn swapped_commitments_are_found() {
    let mut case = Case::new();
    let commitments = &mut case.record.rounds[0].commitments;
    let (first, second) = (commitments[0].1, commitments[1].1);
    (commitments[0].1, commitments[1].1) = (second, first);
    assert_no(
        &case.audit(),
        CheckKind::Updates,
        &["round 1, member 0", "member"],
    );
}

#[test]
fn contributions_and_rewards_that_do_not_follow_are_found() {
    let mut case = Case::new();
    let finish = case.record.finish.as_mut().unwrap();
    finish.contributions.reverse();
    let report = case.audit();
    assert_no(
        &report,
        CheckKind::Contributions,
        &["the updates give a contribution of"],
    );
    let mut case = Case::new();
    case.record.state.members[1].reward.0 += 1;
    assert_no(&case.audit(), CheckKind::Rewards, &["member 1"]);
    let mut case = Case::new();
    let reward = Amount(case.record.state.budget.0 + 1);
    case.record.finish.as_mut().unwrap().contributions[0].1 = reward;
    assert_no(&case.audit(), CheckKind::Rewards, &["member 0"]);
}

#[test]
fn another_model_or_other_shares_are_found() {
    let mut case = Case::new();
    case.model.content = ContentDigest::of(b"another model");
    assert_no(&case.audit(), CheckKind::Model, &["its content is"]);
    let mut case = Case::new();
    case.model.asset = AssetId(78);
    assert_no(&case.audit(), CheckKind::Model, &["asset 77"]);
    let mut case = Case::new();
    let (dataset, share) = case.model.parents[0];
    case.model.parents[0].1 = Ppm::new(share.millionths() + 1).unwrap();
    assert_no(
        &case.audit(),
        CheckKind::Lineage,
        &[&format!("dataset {dataset} has a share")],
    );
    let mut case = Case::new();
    case.model.parents.push((AssetId(90), Ppm::new(5).unwrap()));
    assert_no(&case.audit(), CheckKind::Lineage, &["asset 90"]);
    let mut case = Case::new();
    case.model.parents.remove(0);
    assert_no(&case.audit(), CheckKind::Lineage, &["is no parent"]);
}

#[test]
fn what_a_study_starts_from_is_a_parent_without_a_share() {
    let base = AssetId(80);
    let mut case = Case::new();
    case.record.state.base_model = Some(base);
    assert_no(&case.audit(), CheckKind::Lineage, &["starts from model 80"]);
    case.model.parents.push((base, Ppm::ZERO));
    assert_eq!(verdict(&case.audit(), CheckKind::Lineage).0, Verdict::Yes);
    case.model.parents.push((AssetId(81), Ppm::ZERO));
    assert_no(&case.audit(), CheckKind::Lineage, &["asset 81"]);
    case.model.parents.truncate(case.model.parents.len() - 2);
    case.model.parents.push((base, Ppm::new(5).unwrap()));
    assert_no(&case.audit(), CheckKind::Lineage, &["starts from model 80"]);
}

#[test]
fn consent_that_was_missing_at_the_time_is_found_and_a_later_revocation_is_not() {
    let case = Case::new();
    let steward = case.world.ledger.acting_for(account(1));
    let purposes = PurposeSet::from_names(["research"]).unwrap();
    case.world.clock.pause(std::time::Duration::from_secs(10));
    steward.revoke(case.world.datasets[1], purposes).unwrap();
    assert_eq!(case.audit().verdict(), Verdict::Yes);

    // The same study as if consent had been withdrawn before its first round.
    let mut case = Case::new();
    let history = case.world.ledger.consent_history(case.world.datasets[1]).unwrap();
    let later = history[0].at.0 + 100;
    let steward = case.world.ledger.acting_for(account(1));
    case.world.clock.pause(std::time::Duration::from_secs(100));
    steward.revoke(case.world.datasets[1], purposes).unwrap();
    for record in &mut case.record.rounds {
        record.opened_at = UnixSeconds(later + 1);
        record.closed.as_mut().unwrap().closed_at = UnixSeconds(later + 2);
    }
    assert_no(
        &case.audit(),
        CheckKind::Consent,
        &["round 1, member 1", "did not allow the purpose"],
    );
    let mut case = Case::new();
    case.record.state.members[2].consent_epoch = 9;
    assert_no(&case.audit(), CheckKind::Consent, &["member 2", "epoch 9"]);
}

#[test]
fn a_dataset_that_changed_hands_later_had_consent_at_the_time() {
    struct Sold(MemoryLedger);
    impl ConsentReader for Sold {
        fn consent(&self, dataset: AssetId) -> Result<Consent, LedgerError> {
            self.0.consent(dataset)
        }
        fn is_allowed(&self, dataset: AssetId, purpose: PurposeIndex) -> Result<bool, LedgerError> {
            self.0.is_allowed(dataset, purpose)
        }
        fn consent_history(&self, dataset: AssetId) -> Result<Vec<ConsentEpoch>, LedgerError> {
            let mut history = self.0.consent_history(dataset)?;
            let last = history[history.len() - 1];
            let change = ConsentChange::Transferred;
            history.push(ConsentEpoch {
                change,
                at: UnixSeconds(last.at.0 + 1_000),
                ..last
            });
            Ok(history)
        }
    }
    let case = Case::new();
    let report = Audit {
        consent: Some(&Sold(case.world.ledger.clone())),
        ..case.world.audit(&case.record, &case.world.blobs)
    }
    .run();
    assert_eq!(verdict(&report, CheckKind::Consent).0, Verdict::Yes, "{report:?}");
}

#[test]
fn other_terms_are_found() {
    let mut case = Case::new();
    case.record.state.rounds = 4;
    assert_no(
        &case.audit(),
        CheckKind::Terms,
        &["they plan 3 rounds, the ledger 4"],
    );
    let case = Case::new();
    case.world
        .blobs
        .spoil(&case.record.state.terms, |bytes| bytes[20] ^= 1);
    assert_no(&case.audit(), CheckKind::Terms, &["was changed"]);
    assert!(case.outcome.rounds.len() == 3);
}

/// Every rule: members, coordinator and auditor reach one result, and another rule's result is named.
#[test]
fn every_rule_is_recomputed_and_the_result_of_another_is_named() {
    let rule = |text: &str| serde_json::from_str::<Rule>(text).unwrap();
    for text in [
        r#"{"rule":"clipped-mean","norm":0.5}"#,
        r#"{"rule":"median"}"#,
        r#"{"rule":"trimmed-mean","trim":1}"#,
        r#"{"rule":"krum","faulty":0}"#,
        r#"{"rule":"multi-krum","faulty":0,"keep":2}"#,
        r#"{"rule":"geometric-median"}"#,
        r#"{"rule":"centred-clipping","radius":0.5}"#,
        r#"{"rule":"fltrust","bucket":2}"#,
    ] {
        let combination = Some(rule(text));
        let case = Case::with(|terms| terms.combination = combination);
        let report = case.audit();
        for check in &report.checks {
            assert_eq!(check.verdict, Verdict::Yes, "{text}: {check:?}");
        }
        // The same ledger, had the coordinator used the plain mean in its last round.
        let plain = Case::with(|_| ());
        assert_ne!(plain.outcome.result, case.outcome.result, "{text}");
        let mut spoilt = case;
        let last = spoilt.record.rounds.len() - 1;
        let lie = plain.outcome.result;
        spoilt.record.rounds[last].closed.as_mut().unwrap().result = lie;
        let blob = plain.world.blobs.get(&lie, u64::MAX).unwrap();
        spoilt.world.blobs.put(&blob).unwrap();
        let name = format!("the updates give {}, recorded is {lie}", spoilt.outcome.result);
        assert_no(
            &spoilt.audit(),
            CheckKind::Aggregation,
            &[&name, "round: Some(3)"],
        );
    }
}

#[test]
fn without_the_hold_out_a_trusted_update_is_unknown_and_not_wrong() {
    let case = Case::with(|terms| terms.combination = Some(Rule::Fltrust { bucket: 1 }));
    let report = case.audit_with(&case.world.blobs, None);
    let (verdict, sentence) = verdict(&report, CheckKind::Aggregation);
    assert_eq!(verdict, Verdict::Unknown, "{sentence}");
}

/// A promise to each row that the noise keeps.
pub(crate) fn with_private_rows(terms: &mut PublicTerms) {
    let section = PrivacySection {
        epsilon: "3".parse().unwrap(),
        delta: "0.00001".parse().unwrap(),
        unit: Unit::Row,
        noise: None,
        row_clip: Some("0.5".parse().unwrap()),
        sample: Some("0.5".parse().unwrap()),
        honest: None,
    };
    terms.privacy = Some(section.planned(&terms.privacy_setting(), terms.rounds).unwrap());
}

#[test]
fn a_study_with_private_rows_runs_and_an_audit_says_what_it_spent() {
    let case = Case::with(with_private_rows);
    let report = case.audit();
    assert_eq!(report.verdict(), Verdict::Yes, "{report:#?}");
    let (_, sentence) = verdict(&report, CheckKind::Privacy);
    assert!(
        sentence.contains("spent an epsilon of 2.99") && sentence.contains("of the 3 promised for each row"),
        "{sentence}"
    );
}

#[test]
fn more_rounds_than_the_noise_pays_for_are_named() {
    let mut case = Case::with(with_private_rows);
    let round = case.record.rounds[0].clone();
    case.record.rounds.extend(vec![round; 20]);
    assert_no(&case.audit(), CheckKind::Privacy, &["the terms promise 3"]);
}

#[test]
fn a_member_joins_no_study_whose_noise_breaks_its_promise_and_repeats_its_own_noise() {
    let shape = Shape::default();
    let world = |noise: Option<&str>| {
        let mut terms = public_terms(&shape);
        with_private_rows(&mut terms);
        if let (Some(noise), Some(Privacy::Row(privacy))) = (noise, terms.privacy.as_mut()) {
            privacy.noise = noise.parse().unwrap();
        }
        World::with_terms(&shape, Arc::new(ManualClock::at(START)), terms)
    };
    let refused = Member::new(world(Some("0.5")).setup(0)).err().unwrap();
    assert!(refused.to_string().contains("3 is promised"), "{refused}");
    let world = world(None);
    let base = Parameters::initial(&world.terms.architecture, 42);
    let assignment = Assignment {
        round: Round(1),
        member: MemberIndex(0),
        base: base.digest(),
        committed: None,
    };
    let prepared = |setup: MemberSetup| {
        let member = Member::new(setup).unwrap();
        member.prepare(&assignment, &base.to_safetensors()).unwrap().bytes
    };
    let once = prepared(world.setup(0));
    assert_eq!(prepared(world.setup(0)), once);
    let mut other = world.setup(0);
    other.secret = [99; 32].into();
    assert_ne!(prepared(other), once);
}
