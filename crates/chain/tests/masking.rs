//! Masked rounds are recorded, and wrong sums refuted, on every chain.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use counterweight_chain::ledger::ContractLedger;
use counterweight_federated::blobs::MemoryBlobs;
use counterweight_federated::clock::ManualClock;
use counterweight_federated::ledger::masking::{MaskDealing, MaskLedger as _, MaskReader as _, MaskSetting};
use counterweight_federated::ledger::{StudyLedger, StudyReader as _, StudyTerms};
use counterweight_federated::masking::PublicKey;
use counterweight_federated::masking::refutation::{
    NextStep, Refutation, next_step, open_block, refute, refute_block,
};
use counterweight_federated::masking::roots::vector_leaves;
use counterweight_federated::member_set::MemberSet;
use counterweight_federated::memory::MemoryLedger;
use counterweight_federated::privacy::MicroEpsilon;
use counterweight_primitives::{
    Address, Amount, AssetId, ContentDigest, MemberIndex, Ppm, PurposeIndex, Sha256Digest, StudyId,
    UnixMillis, UnixSeconds,
};
use counterweight_provenance::ledger::{ConsentLedger as _, LedgerError};
use counterweight_provenance::purpose::PurposeSet;
use counterweight_testkit::{MaskedOpening, MaskedStudy};
use rand_core::SeedableRng as _;
use support::{Deployed, TestChain, masked_study};

on_every_chain! {
    a_masked_round_is_recorded_step_by_step
    a_lying_coordinator_loses_its_bond
    a_root_of_nothing_is_refuted_by_silence
    a_hidden_wrong_block_is_found_by_demands
    an_honest_sum_cannot_be_refuted
    steps_out_of_turn_are_refused_with_the_reason
    an_expired_masked_round_starts_again
}

const BOND: Amount = Amount(1_001);

fn digest(text: &str) -> ContentDigest {
    ContentDigest::of(text.as_bytes())
}

fn refused<T: std::fmt::Debug>(result: Result<T, LedgerError>) -> String {
    match result {
        Err(LedgerError::Refused { reason, .. }) => reason,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// Development key 0 sponsors and coordinates; keys 1 to 5 are members; key 6 challenges.
struct Study {
    deployed: Deployed,
    inner: MaskedStudy,
    blobs: MemoryBlobs,
}

impl std::ops::Deref for Study {
    type Target = MaskedStudy;

    fn deref(&self) -> &MaskedStudy {
        &self.inner
    }
}

impl Study {
    fn masking(chain: &dyn TestChain) -> Self {
        let deployed = Deployed::on(chain);
        let inner = masked_study(&deployed, BOND, 2);
        let blobs = MemoryBlobs::default();
        Self {
            deployed,
            inner,
            blobs,
        }
    }

    /// A round up to the sums, in which member 4 drops out after it dealt.
    fn up_to_sums(&self, chain: &dyn TestChain) -> MaskedOpening {
        self.inner
            .up_to_sums(&self.blobs, &|seconds| chain.advance(seconds))
    }

    fn funded_challenger(&self) -> ContractLedger {
        let challenger = self.deployed.ledger(6);
        self.coordinator
            .mint_development_tokens(challenger.account(), Amount(1_000))
            .unwrap();
        challenger
    }
}

fn refutation(opening: &MaskedOpening, posted: &[i32]) -> Option<Refutation> {
    refute(
        &opening.group,
        &opening.announced,
        &opening.dealings,
        &opening.masked,
        &opening.unmaskings,
        posted,
    )
    .unwrap()
}

fn at(index: usize) -> MemberIndex {
    MemberIndex(index as u8)
}

fn a_masked_round_is_recorded_step_by_step(chain: &dyn TestChain) {
    let s = Study::masking(chain);
    assert_eq!(s.coordinator.mask_setting(s.study).unwrap(), Some(s.setting));
    assert_eq!(
        s.coordinator.mask_bond(s.study).unwrap(),
        (s.coordinator.account(), BOND)
    );
    assert_eq!(s.coordinator.mask_rounds(s.study).unwrap(), []);
    let opening = s.up_to_sums(chain);
    s.post(opening.round, &opening.sum);
    s.coordinator
        .close_round(
            s.study,
            opening.round,
            0b1111,
            digest("result"),
            MicroEpsilon::ZERO,
        )
        .unwrap();
    let record = s.record(opening.round);
    assert_eq!(record.announced_set(), MemberSet::first(5));
    assert_eq!(record.dealt_set(), MemberSet::first(5));
    assert_eq!(record.uploaded_set(), MemberSet::first(4));
    assert_eq!(record.survivors, Some(MemberSet::first(4)));
    assert_eq!(record.unmasked_set(), MemberSet::first(4));
    assert_eq!(record.sums.unwrap().len(), 1);
    assert!(record.refuted.is_empty());
    let reader = s.members[0].mask_reader().unwrap();
    assert_eq!(reader.mask_rounds(s.study).unwrap().len(), 1);
    assert!(refused(s.coordinator.release_mask_bond(s.study)).starts_with("BondHeld(study: "));
}

fn a_lying_coordinator_loses_its_bond(chain: &dyn TestChain) {
    let s = Study::masking(chain);
    let opening = s.up_to_sums(chain);
    let mut wrong = opening.sum.clone();
    *wrong.last_mut().unwrap() ^= 1;
    s.post(opening.round, &wrong);
    let challenger = s.deployed.ledger(6);
    let refutation = refutation(&opening, &wrong).unwrap();
    assert_eq!(refutation.number, 2);
    let record = s.record(opening.round);
    let outcome = challenger.refute_sum(s.study, &record, 0, &refutation).unwrap();
    assert_eq!(
        (outcome.number, outcome.reward, outcome.burnt),
        (2, Amount(500), Amount(501))
    );
    let token = s.deployed.deployment.development_token.unwrap();
    assert_eq!(
        challenger.token_balance(token, challenger.account()).unwrap(),
        Amount(500)
    );
    assert_eq!(s.record(opening.round).refuted, [0]);
    assert_eq!(s.coordinator.mask_bond(s.study).unwrap().1, Amount(0));
    // Said before, and everything is open: nothing is sent but the dispute, which is refused.
    let again = challenger.refute_sum(s.study, &record, 0, &refutation);
    assert!(refused(again).starts_with("AlreadyRefuted("));
}

fn a_root_of_nothing_is_refuted_by_silence(chain: &dyn TestChain) {
    let s = Study::masking(chain);
    let opening = s.up_to_sums(chain);
    let nothing = Sha256Digest::of(b"nothing");
    s.coordinator
        .post_sums(s.study, opening.round, &[nothing])
        .unwrap();
    let challenger = s.funded_challenger();
    let record = s.record(opening.round);
    assert_eq!(next_step(&opening.sum, &BTreeMap::new()), NextStep::Demand(0));
    let answer_by = challenger.demand_block(s.study, &record, 0, 0).unwrap();
    let demands = challenger.block_demands(s.study).unwrap();
    assert_eq!(
        (demands.len(), demands[0].answer_by, demands[0].open),
        (1, answer_by, true)
    );
    assert!(refused(challenger.settle_demand(s.study, &demands[0])).starts_with("WrongTime("));
    chain.advance(3_601);
    challenger.settle_demand(s.study, &demands[0]).unwrap();
    assert_eq!(s.record(opening.round).refuted, [0]);
    assert!(!challenger.block_demands(s.study).unwrap()[0].open);
}

fn a_hidden_wrong_block_is_found_by_demands(chain: &dyn TestChain) {
    let s = Study::masking(chain);
    let opening = s.up_to_sums(chain);
    let mut wrong = opening.sum.clone();
    wrong[20] ^= 1;
    s.post(opening.round, &wrong);
    let challenger = s.funded_challenger();
    let record = s.record(opening.round);
    let mut shown = BTreeMap::new();
    let (number, posted) = loop {
        match next_step(&opening.sum, &shown) {
            NextStep::Demand(number) => {
                challenger.demand_block(s.study, &record, 0, number).unwrap();
                let block = open_block(&wrong, number);
                s.coordinator
                    .answer_block(s.study, &record, 0, number, &block)
                    .unwrap();
            }
            NextStep::Refute { number, posted } => break (number, posted),
            NextStep::Nothing => panic!("the sum is wrong"),
        }
        for demand in challenger.block_demands(s.study).unwrap() {
            shown.insert(demand.number, demand.shown.unwrap());
        }
    };
    assert_eq!(number, 1);
    let refutation = refute_block(
        &opening.group,
        &opening.dealings,
        &opening.masked,
        &opening.unmaskings,
        number,
        posted,
    );
    challenger
        .refute_sum(s.study, &record, 0, &refutation.unwrap())
        .unwrap();
    assert_eq!(s.record(opening.round).refuted, [0]);
}

fn an_honest_sum_cannot_be_refuted(chain: &dyn TestChain) {
    let s = Study::masking(chain);
    let opening = s.up_to_sums(chain);
    s.post(opening.round, &opening.sum);
    assert_eq!(refutation(&opening, &opening.sum), None);
    let mut other = opening.sum.clone();
    other[3] += 1;
    let challenger = s.deployed.ledger(6);
    let record = s.record(opening.round);
    // Another block than the posted one is none of it; the posted one is right.
    let mut refutation = refutation(&opening, &other).unwrap();
    let reason = refused(challenger.refute_sum(s.study, &record, 0, &refutation));
    assert!(reason.starts_with("NotInVector(place: 255"), "{reason}");
    // The siblings of a block are the same, whatever is in it.
    let words: Vec<u32> = opening.sum.iter().map(|word| *word as u32).collect();
    refutation.posted.words = vector_leaves(&words)[0];
    let reason = refused(challenger.refute_sum(s.study, &record, 0, &refutation));
    assert_eq!(reason, "SumHolds(number: 0)");
    assert!(s.record(opening.round).refuted.is_empty());
}

fn steps_out_of_turn_are_refused_with_the_reason(chain: &dyn TestChain) {
    let s = Study::masking(chain);
    let (study, coordinator) = (s.study, &s.coordinator);
    let round = coordinator.open_round(study, digest("base")).unwrap();
    assert_eq!(s.record(round).announced, []);
    let weak = s.members[0].announce_key(study, round, at(0), &PublicKey([0; 32]));
    assert!(refused(weak).starts_with("WeakKey(key: 0x"));
    assert!(refused(coordinator.draw_groups(study, round)).starts_with("WrongRound("));
    let key = PublicKey([9; 32]);
    let other = s.members[0].announce_key(study, round, at(1), &key);
    assert!(refused(other).starts_with("NotMember(study: "));
    s.members[0].announce_key(study, round, at(0), &key).unwrap();
    let reason = refused(coordinator.draw_groups(study, round));
    assert_eq!(reason, "TooFewAnnounced(announced: 1, needed: 5)");
    let dealing = MaskDealing {
        member: at(0),
        record: digest("dealing"),
        shares_root: Sha256Digest([1; 32]),
    };
    let early = s.members[0].commit_dealing(study, round, &dealing);
    assert!(refused(early).starts_with("OutOfTurn(study: "));
    chain.advance(151);
    let late = s.members[1].announce_key(study, round, at(1), &key);
    assert!(refused(late).starts_with("TooLate(nowSeconds: "));
}

fn an_expired_masked_round_starts_again(chain: &dyn TestChain) {
    let s = Study::masking(chain);
    let first = s.up_to_sums(chain);
    let before = s.record(first.round);
    chain.advance(400);
    s.coordinator.expire_round(s.study).unwrap();
    let again = s.up_to_sums(chain);
    assert_eq!(again.round, first.round);
    let record = s.record(again.round);
    // What was fixed is not forgotten: its sum may have been opened.
    assert_eq!(
        (before.fixed(), &before.fixed_before),
        (Some(vec![4]), &Vec::new())
    );
    assert_eq!(record.fixed_before, [vec![4]]);
    assert_ne!(record.commit_by, before.commit_by);
    assert_ne!(
        record.drawn.as_ref().unwrap().contexts,
        before.drawn.unwrap().contexts
    );
    s.post(again.round, &again.sum);
    assert_eq!(s.coordinator.mask_rounds(s.study).unwrap().len(), 1);
    assert!(s.record(again.round).sums.is_some());
}

/// Takes wrong steps and right ones in turn; the names of the refusals, and "done".
fn steps(
    coordinator: &dyn StudyLedger,
    members: &[&dyn StudyLedger],
    study: StudyId,
    pass: &dyn Fn(u64),
) -> Vec<(&'static str, String)> {
    let round = coordinator.open_round(study, digest("base")).unwrap();
    let masks = |ledger: usize| members[ledger].masking().unwrap();
    let lead = coordinator.masking().unwrap();
    let mut said = Vec::new();
    let mut told = |what, result: Result<(), LedgerError>| {
        let name = match result {
            Ok(()) => "done".to_owned(),
            Err(LedgerError::Refused { name, .. }) => name,
            Err(error) => panic!("{what}: {error}"),
        };
        said.push((what, name));
    };
    let key = |seed: u8| {
        let draft = counterweight_federated::masking::Group {
            context: [0; 32],
            size: 5,
            degree: 4,
            threshold: 3,
            fewest_survivors: 3,
            coordinates: 37,
        };
        let mut random = rand_chacha::ChaCha20Rng::from_seed([seed; 32]);
        let place = counterweight_federated::masking::Place(0);
        let member = counterweight_federated::masking::Member::new(&draft, place, &mut random);
        member.unwrap().announcement().key
    };
    let mut order_four = [0; 32];
    order_four[0] = 1;
    let mut prime = [0xff; 32];
    (prime[0], prime[31]) = (0xed, 0x7f);
    for weak in [[0; 32], order_four, prime, [0xff; 32]] {
        told(
            "weak key",
            masks(0).announce_key(study, round, at(0), &PublicKey(weak)),
        );
    }
    told(
        "key of another",
        masks(0).announce_key(study, round, at(1), &key(0)),
    );
    for member in 0..4 {
        told(
            "key",
            masks(member).announce_key(study, round, at(member), &key(member as u8)),
        );
    }
    told("second key", masks(0).announce_key(study, round, at(0), &key(9)));
    told("too few drawn", lead.draw_groups(study, round));
    let dealing = |member, record: &str, root| MaskDealing {
        member: at(member),
        record: match record {
            "" => ContentDigest([0; 32]),
            text => digest(text),
        },
        shares_root: Sha256Digest([root; 32]),
    };
    let deal = |member: usize, record, root| {
        masks(member).commit_dealing(study, round, &dealing(member, record, root))
    };
    told("dealing before the draw", deal(0, "dealing", 1));
    told("key", masks(4).announce_key(study, round, at(4), &key(4)));
    // The sixth was not asked in time.
    pass(151);
    told("late key", masks(5).announce_key(study, round, at(5), &key(5)));
    told("draw", lead.draw_groups(study, round));
    told("second draw", lead.draw_groups(study, round));
    told("dealing of nothing", deal(0, "", 1));
    told("dealing without a root", deal(0, "dealing", 0));
    told("dealing of who announced nothing", deal(5, "dealing", 1));
    for member in 0..5 {
        told("dealing", deal(member, "dealing", 1));
    }
    told("second dealing", deal(0, "dealing", 1));
    let upload =
        |member: usize, root| masks(member).commit_upload(study, round, at(member), Sha256Digest([root; 32]));
    told("vector without a root", upload(0, 0));
    told(
        "survivors before vectors",
        lead.fix_survivors(study, round, MemberSet::first(3)),
    );
    for (member, ledger) in members.iter().enumerate().take(4) {
        told("vector", upload(member, 1));
        if member < 3 {
            told(
                "update",
                ledger.commit_update(study, round, at(member), digest("update")),
            );
        }
    }
    told("second vector", upload(0, 1));
    pass(450);
    told("late vector", upload(4, 1));
    told(
        "survivors by another",
        masks(0).fix_survivors(study, round, MemberSet::first(3)),
    );
    told("no survivors", lead.fix_survivors(study, round, MemberSet::EMPTY));
    // Its vector is there, its update is not.
    told(
        "survivors without an update",
        lead.fix_survivors(study, round, MemberSet::first(4)),
    );
    told(
        "too few survivors",
        lead.fix_survivors(study, round, MemberSet::first(2)),
    );
    told(
        "shares before survivors",
        masks(0).commit_unmasking(study, round, at(0), digest("shares")),
    );
    told("survivors", lead.fix_survivors(study, round, MemberSet::first(3)));
    told(
        "second survivors",
        lead.fix_survivors(study, round, MemberSet::first(3)),
    );
    let shares = |member: usize| masks(member).commit_unmasking(study, round, at(member), digest("shares"));
    told("shares of who did not survive", shares(3));
    told("shares", shares(0));
    told("second shares", shares(0));
    let post = |roots: &[u8]| {
        let roots: Vec<_> = roots.iter().map(|root| Sha256Digest([*root; 32])).collect();
        lead.post_sums(study, round, &roots)
    };
    told("sums before the shares", post(&[1]));
    pass(226);
    told("late shares", shares(1));
    // One of three answered, and three open a secret.
    told("sums of too few shares", post(&[1]));
    told("sums of no such group", post(&[1, 1]));
    pass(75);
    told("late sums", post(&[1]));
    said
}

/// What tests in memory may do, the contract lets them do, and the other way about.
#[test]
fn the_ledger_in_memory_refuses_the_steps_that_the_contract_refuses() {
    let chain = support::Embedded::start();
    let deployed = Deployed::on(&chain);
    let coordinator = deployed.ledger(0);
    let members: Vec<_> = (1..=6).map(|index| deployed.ledger(index)).collect();
    let token = deployed.deployment.development_token.unwrap();
    let study = open(
        &coordinator,
        token,
        members.iter().map(|member| {
            let dataset =
                counterweight_testkit::register_dataset(member, &format!("of {}", member.account()));
            let purposes = PurposeSet::from_names(["research"]).unwrap();
            member.grant(dataset, purposes, None).unwrap();
            (member as &dyn StudyLedger, dataset)
        }),
    );
    let acting: Vec<_> = members.iter().map(|member| member as &dyn StudyLedger).collect();
    let on_chain = steps(&coordinator, &acting, study, &|seconds| chain.advance(seconds));

    let clock = Arc::new(ManualClock::at(UnixMillis(1_795_305_600_000)));
    let lead = MemoryLedger::new(clock.clone(), coordinator.account());
    let members: Vec<_> = members
        .iter()
        .map(|member| lead.acting_for(member.account()))
        .collect();
    let study = open(
        &lead,
        token,
        members.iter().map(|member| {
            let dataset = member.register_dataset();
            let purposes = PurposeSet::from_names(["research"]).unwrap();
            member.grant(dataset, purposes, None).unwrap();
            (member as &dyn StudyLedger, dataset)
        }),
    );
    let acting: Vec<_> = members.iter().map(|member| member as &dyn StudyLedger).collect();
    let pass = |seconds| clock.advance(Duration::from_secs(seconds));
    let in_memory = steps(&lead, &acting, study, &pass);
    assert_eq!(in_memory, on_chain);
    assert!(on_chain.iter().filter(|(_, name)| name != "done").count() > 25);
}

/// A study of six members that masks in groups of five.
fn open<'a>(
    coordinator: &dyn StudyLedger,
    token: Address,
    members: impl Iterator<Item = (&'a dyn StudyLedger, AssetId)>,
) -> StudyId {
    let now = coordinator.now().unwrap().0;
    let terms = StudyTerms {
        coordinator: coordinator.account(),
        token,
        budget: Amount(0),
        bond: Amount(0),
        purpose: PurposeIndex(0),
        base_model: None,
        terms: digest("terms"),
        min_members: 2,
        max_members: 8,
        rounds: 1,
        round_seconds: 600,
        close_seconds: 300,
        enrol_until: UnixSeconds(now + 1_000),
        finish_by: UnixSeconds(now + 100_000),
        member_cap: Ppm::new(500_000).unwrap(),
        lineage_share: Ppm::new(400_000).unwrap(),
        epsilon_budget: None,
        invited: Vec::new(),
    };
    let study = coordinator.open_study(&terms).unwrap();
    let setting = MaskSetting {
        group_size: 5,
        threshold_percent: 51,
        fewest_survivors: 3,
        coordinates: 37,
        bond_token: token,
        bond: Amount(0),
        dispute_seconds: 60,
    };
    coordinator
        .masking()
        .unwrap()
        .configure_masking(study, &setting)
        .unwrap();
    for (member, dataset) in members {
        member.join(study, dataset).unwrap();
    }
    coordinator.start(study).unwrap();
    study
}
