//! Masked rounds are recorded, and wrong sums refuted, on every chain.

mod support;

use std::collections::BTreeMap;

use counterweight_chain::ledger::ContractLedger;
use counterweight_federated::blobs::MemoryBlobs;
use counterweight_federated::ledger::masking::{MaskDealing, MaskLedger as _, MaskReader as _};
use counterweight_federated::ledger::{StudyLedger as _, StudyReader as _};
use counterweight_federated::masking::PublicKey;
use counterweight_federated::masking::refutation::{
    NextStep, Refutation, next_step, open_block, refute, refute_block,
};
use counterweight_federated::masking::roots::vector_leaves;
use counterweight_federated::member_set::MemberSet;
use counterweight_federated::privacy::MicroEpsilon;
use counterweight_primitives::{Amount, ContentDigest, MemberIndex, Sha256Digest};
use counterweight_provenance::ledger::LedgerError;
use counterweight_testkit::{MaskedOpening, MaskedStudy};
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
    assert_ne!(record.commit_by, before.commit_by);
    assert_ne!(
        record.drawn.as_ref().unwrap().contexts,
        before.drawn.unwrap().contexts
    );
    s.post(again.round, &again.sum);
    assert_eq!(s.coordinator.mask_rounds(s.study).unwrap().len(), 1);
    assert!(s.record(again.round).sums.is_some());
}
