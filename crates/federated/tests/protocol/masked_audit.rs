//! An audit of masked studies names every lie: of a member, of the coordinator, of the record.

use counterweight_federated::{
    audit::{AuditReport, CheckKind, Verdict},
    ledger::{
        FinishRecord, LedgerError, RoundRecord, StudyReader, StudyState,
        masking::{MaskDomain, MaskReader, MaskRound, MaskSetting},
    },
    masked::record::MaskRecord,
    masking::roots::vector_root,
    member::MaskedMove,
};
use counterweight_primitives::{Amount, ContentDigest, Ppm, Round, Sha256Digest, StudyId, UnixSeconds};

use crate::{
    crowd::{Crowd, Deed},
    masked::shape,
    masked_runs::audit,
    support::World,
};

/// What a ledger says, which a test may change.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) state: StudyState,
    pub(crate) rounds: Vec<RoundRecord>,
    finish: FinishRecord,
    setting: Option<MaskSetting>,
    domain: MaskDomain,
    pub(crate) masked: Vec<MaskRound>,
}

impl StudyReader for Record {
    fn study(&self, _: StudyId) -> Result<StudyState, LedgerError> {
        Ok(self.state.clone())
    }
    fn rounds(&self, _: StudyId) -> Result<Vec<RoundRecord>, LedgerError> {
        Ok(self.rounds.clone())
    }
    fn finish_record(&self, _: StudyId) -> Result<Option<FinishRecord>, LedgerError> {
        Ok(Some(self.finish.clone()))
    }
    fn now(&self) -> Result<UnixSeconds, LedgerError> {
        Ok(UnixSeconds(0))
    }
    fn mask_reader(&self) -> Option<&dyn MaskReader> {
        Some(self)
    }
}

impl MaskReader for Record {
    fn mask_setting(&self, _: StudyId) -> Result<Option<MaskSetting>, LedgerError> {
        Ok(self.setting)
    }
    fn mask_round(&self, _: StudyId, round: Round) -> Result<Option<MaskRound>, LedgerError> {
        Ok(self.masked.iter().find(|record| record.round == round).cloned())
    }
    fn mask_rounds(&self, _: StudyId) -> Result<Vec<MaskRound>, LedgerError> {
        Ok(self.masked.clone())
    }
    fn mask_domain(&self) -> Result<MaskDomain, LedgerError> {
        Ok(self.domain)
    }
}

fn finished() -> (World, Record) {
    let world = World::new(&shape());
    world.run(&mut world.in_process(0..9)).unwrap();
    let record = record_of(&world);
    (world, record)
}

pub(crate) fn record_of(world: &World) -> Record {
    let (ledger, study) = (&world.ledger, world.study);
    Record {
        state: ledger.study(study).unwrap(),
        rounds: ledger.rounds(study).unwrap(),
        finish: ledger.finish_record(study).unwrap().unwrap(),
        setting: ledger.mask_setting(study).unwrap(),
        domain: ledger.mask_domain().unwrap(),
        masked: ledger.mask_rounds(study).unwrap(),
    }
}

pub(crate) fn audit_of(world: &World, record: &Record) -> AuditReport {
    world.audit(record, &world.blobs).run()
}

/// The finding of a check that says no, with what it names.
pub(crate) fn named(report: &AuditReport, kind: CheckKind, words: &str) -> (Option<u32>, Option<u8>) {
    let check = report.checks.iter().find(|check| check.check == kind).unwrap();
    assert_eq!(check.verdict, Verdict::No, "{report:#?}");
    let found = check
        .findings
        .iter()
        .find(|finding| finding.problem.contains(words));
    let found = found.unwrap_or_else(|| panic!("{words}: {check:#?}"));
    (found.round, found.member)
}

#[test]
fn an_honest_masked_study_holds_and_its_sums_rules_scores_and_payments_are_recomputed() {
    let (world, record) = finished();
    let report = audit_of(&world, &record);
    for check in &report.checks {
        match check.check {
            CheckKind::Model | CheckKind::Lineage => {}
            _ => assert_eq!(check.verdict, Verdict::Yes, "{check:#?}"),
        }
    }
    assert!(
        report
            .checks
            .iter()
            .any(|check| check.check == CheckKind::Masking)
    );
}

#[test]
fn each_lie_in_the_record_is_named() {
    let (world, honest) = finished();
    let lie = |change: &dyn Fn(&mut Record)| {
        let mut record = honest.clone();
        change(&mut record);
        audit_of(&world, &record)
    };
    use CheckKind::{Aggregation, Contributions, Masking, Rewards, Terms};
    let sums = lie(&|record| record.masked[1].sums.as_mut().unwrap()[0] = Sha256Digest([9; 32]));
    assert_eq!(
        named(&sums, Masking, "the coordinator posted another sum"),
        (Some(2), None)
    );
    let none = lie(&|record| record.masked[0].sums = None);
    assert_eq!(
        named(&none, Masking, "the coordinator posted no sum"),
        (Some(1), None)
    );
    let left_out = lie(&|record| record.rounds[0].closed.as_mut().unwrap().survivors &= !(1 << 4));
    assert_eq!(named(&left_out, Masking, "does not count it"), (Some(1), Some(4)));
    let counted = lie(&|record| record.masked[0].survivors.as_mut().unwrap().0 &= !(1 << 5));
    assert_eq!(named(&counted, Masking, "had not fixed it"), (Some(1), Some(5)));
    let regrouped = lie(&|record| {
        let groups = &mut record.masked[0].drawn.as_mut().unwrap().groups;
        let other = groups[1][0];
        groups[1][0] = std::mem::replace(&mut groups[0][0], other);
    });
    assert_eq!(named(&regrouped, Masking, "its beacon draws"), (Some(1), None));
    let context = lie(&|record| record.masked[1].drawn.as_mut().unwrap().contexts[1] = [1; 32]);
    assert_eq!(named(&context, Masking, "its beacon draws"), (Some(2), None));
    let setting = lie(&|record| {
        record.setting.as_mut().unwrap().threshold_percent = 51;
    });
    assert_eq!(named(&setting, Masking, "otherwise than the terms"), (None, None));
    let root = lie(&|record| record.masked[0].uploads[3].1 = Sha256Digest([7; 32]));
    let member = honest.masked[0].uploads[3].0.0;
    assert_eq!(named(&root, Masking, "another root"), (Some(1), Some(member)));
    let dealing = lie(&|record| record.masked[0].dealings[2].shares_root = Sha256Digest([7; 32]));
    let member = honest.masked[0].dealings[2].member.0;
    assert_eq!(named(&dealing, Masking, "another root"), (Some(1), Some(member)));
    let key = lie(&|record| record.masked[0].announced[1].1.0[0] ^= 1);
    let member = honest.masked[0].announced[1].0.0;
    assert_eq!(named(&key, Masking, "another key"), (Some(1), Some(member)));
    let refuted = lie(&|record| record.masked[1].refuted.push(1));
    assert_eq!(named(&refuted, Masking, "refuted on the ledger"), (Some(2), None));
    let result = lie(&|record| record.rounds[1].closed.as_mut().unwrap().result = ContentDigest([4; 32]));
    assert_eq!(named(&result, Aggregation, "recorded is"), (Some(2), None));
    let paid = lie(&|record| {
        record.finish.contributions[2].0 = Ppm::new(1).unwrap();
        record.state.members[2].contribution = Ppm::new(1).unwrap();
    });
    assert_eq!(named(&paid, Contributions, "recorded is"), (None, Some(2)));
    let reward = lie(&|record| {
        record.finish.contributions[3].1 = Amount(1);
        record.state.members[3].reward = Amount(1);
    });
    assert_eq!(named(&reward, Rewards, "recorded are"), (None, Some(3)));
    let terms = lie(&|record| record.state.rounds = 3);
    named(&terms, Terms, "they plan 2 rounds");
}

#[test]
fn records_that_were_changed_are_wrong_and_lost_ones_leave_it_open() {
    let (world, record) = finished();
    let (member, upload) = record.rounds[0].commitments[6];
    world.blobs.spoil(&upload, |bytes| bytes[60] ^= 1);
    let report = audit_of(&world, &record);
    let found = named(&report, CheckKind::Commitments, "its upload cannot be read");
    assert_eq!(found, (Some(1), Some(member.0)));
    let mut lost = record.clone();
    world.blobs.spoil(&upload, |bytes| bytes[60] ^= 1);
    assert_eq!(audit_of(&world, &record).checks[1].verdict, Verdict::Yes);
    lost.masked[0].dealings[0].record = ContentDigest([5; 32]);
    let report = audit_of(&world, &lost);
    let check = &report.checks[1];
    assert_eq!(
        (check.check, check.verdict),
        (CheckKind::Commitments, Verdict::Unknown)
    );
    assert_eq!(
        check.findings[0].member,
        Some(lost.masked[0].dealings[0].member.0)
    );
}

/// A study in which member 3 does something else at one of its records.
fn with_liar(record: MaskRecord, lie: impl Fn(&mut Vec<u8>, &mut Sha256Digest)) -> (World, AuditReport) {
    let world = World::new(&shape());
    let mut crowd = Crowd::new(&world, |member, round, next| match next {
        MaskedMove::Record { kind, .. } if *kind == record && member.0 == 3 && round == 1 => {
            Deed::altered(next, &lie)
        }
        _ => Deed::honest(next),
    });
    world.run(&mut crowd).unwrap();
    drop(crowd);
    let report = audit(&world);
    (world, report)
}

#[test]
fn a_member_that_opens_wrong_shares_is_named_and_changes_nothing() {
    let (_, report) = with_liar(MaskRecord::Unmasking, |bytes, _| {
        let last = bytes.len() - 32;
        bytes[last] ^= 1;
    });
    assert_eq!(
        named(&report, CheckKind::Masking, "opened wrong shares"),
        (Some(1), Some(3))
    );
    let aggregation = report
        .checks
        .iter()
        .find(|check| check.check == CheckKind::Aggregation);
    assert_eq!(aggregation.unwrap().verdict, Verdict::Yes);
}

#[test]
fn a_group_whose_weights_are_made_up_counts_for_nothing_and_is_named() {
    let (world, report) = with_liar(MaskRecord::Upload, |bytes, root| {
        let (words, _) = bytes[48..].as_chunks_mut::<4>();
        let weight = words.last_mut().unwrap();
        *weight = u32::from_le_bytes(*weight).wrapping_add(1 << 30).to_le_bytes();
        let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        *root = vector_root(&words);
    });
    assert_eq!(
        named(&report, CheckKind::Masking, "it counts for nothing"),
        (Some(1), None)
    );
    assert_eq!(world.ledger.study(world.study).unwrap().closed_rounds, 2);
}
