//! Claims about hidden weights end the same on every chain: proven, or lost.

mod support;

use alloy_primitives::U256;
use counterweight_chain::address::to_evm;
use counterweight_chain::ledger::disputes::{
    ChallengeEnd, ClaimStatus, DisputeContracts, Disputes, HiddenInput, Lane, LoggedClaim, Terms,
};
use counterweight_chain::network::At;
use counterweight_inference::Network as IntegerNetwork;
use counterweight_primitives::architecture::{Architecture, Bias, Layer, Node, Output, Requantise, Shape};
use counterweight_provenance::ledger::LedgerError;
use counterweight_testkit::numbers;
use counterweight_zkml::srs::Srs;
use counterweight_zkml::{Input, InputCommitment, ProvenAnswer, SecretModel};
use counterweight_zkml_verifier::Scheme;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use support::{Deployed, TestChain};

on_every_chain! {
    a_proof_accepts_a_claim_before_anyone_asks
    a_challenged_claim_is_proven_at_the_challengers_cost
    a_claim_that_is_not_proven_in_time_falls
    a_false_claim_cannot_be_proven
    an_audit_is_answered_by_a_proof_or_costs_the_bond
    a_claim_without_challenge_or_audit_stands
}

const TERMS: Terms = Terms {
    window_seconds: 3600,
    response_seconds: 900,
    burnt_ppm: 400_000,
    audit_ppm: 0,
    claim_bond_wei: 1_000_000,
    challenge_bond_wei: 10_000,
};
const AUDITED: Terms = Terms {
    audit_ppm: 1_000_000,
    ..TERMS
};
const CONTEXT: [u8; 32] = [7; 32];

const CLAIMANT: u32 = 1;
const CHALLENGER: u32 = 2;
const OTHER: u32 = 3;

/// A model with hidden weights that is registered, and an answer of it.
struct Court {
    deployed: Deployed,
    contracts: DisputeContracts,
    srs: Srs,
    secret: SecretModel,
    input: Vec<i8>,
}

impl Court {
    fn on(chain: &dyn TestChain) -> Self {
        let dense = |input, outputs, output| Layer::Dense {
            input: Node(input),
            outputs,
            bias: Bias { digits: 1, shift: 2 },
            output,
        };
        let hidden = Output::Requantise(Requantise { shift: 8, relu: true });
        let layers = vec![dense(0, 6, hidden), dense(1, 3, Output::Raw)];
        let architecture = Architecture::new(Shape::vector(9).unwrap(), layers).unwrap();
        let weights = numbers(1, architecture.weights());
        let biases = vec![4; architecture.biases()];
        let network = IntegerNetwork::new(architecture, weights, biases).unwrap();
        let srs = Srs::development(11).unwrap();
        let secret = SecretModel::commit(network, &srs, Scheme::Mercury, &mut random()).unwrap();
        let deployed = Deployed::on(chain);
        let key = secret.key();
        deployed
            .ledger(0)
            .register_inference_model(
                &key.model.architecture.encode(),
                &key.model.commitment.encode(),
                &key.registration,
            )
            .unwrap();
        let contracts = DisputeContracts::of(&deployed.deployment).unwrap();
        Self {
            deployed,
            contracts,
            srs,
            secret,
            input: numbers(2, 9),
        }
    }

    fn party(&self, index: u32) -> Disputes {
        Disputes::new(self.deployed.ledger(index), self.contracts)
    }

    fn input_bytes(&self) -> Vec<u8> {
        self.input.iter().map(|value| value.cast_unsigned()).collect()
    }

    fn truth(&self) -> Vec<u8> {
        self.secret.network().run(&self.input).unwrap().to_bytes()
    }

    fn prove(&self, input: Input<'_>, context: [u8; 32]) -> ProvenAnswer {
        self.secret
            .prove(&self.srs, input, context, &mut random())
            .unwrap()
    }

    fn claim(&self, output: &[u8], terms: Terms) -> LoggedClaim {
        let input = self.input_bytes();
        self.party(CLAIMANT)
            .claim_sealed(
                self.secret.key().id(),
                HiddenInput::Bytes(&input),
                output,
                CONTEXT,
                terms,
            )
            .unwrap()
    }

    /// Proves a claim about the public input; anyone may, so a stranger does.
    fn answer(&self, claim: &LoggedClaim) -> Result<(), LedgerError> {
        let proof = self.prove(Input::Public(&self.input), CONTEXT).proof;
        self.party(OTHER).prove(claim, &self.input_bytes(), &proof)
    }

    fn status(&self, claim: &LoggedClaim) -> ClaimStatus {
        self.party(OTHER).status(claim.id).unwrap()
    }

    fn credit(&self, index: u32) -> u128 {
        let party = self.party(index);
        party.credit_wei(party.account()).unwrap()
    }

    /// What the contract holds is what is owed, what is burnt, and the bonds of what is open.
    fn assert_conserved(&self, open: u128) {
        let held = self
            .deployed
            .network
            .balance(to_evm(self.contracts.dispute), At::Latest)
            .unwrap();
        let credited: u128 = [CLAIMANT, CHALLENGER, OTHER]
            .map(|index| self.credit(index))
            .iter()
            .sum();
        let burnt = self.party(OTHER).burnt_wei().unwrap();
        assert_eq!(held, U256::from(credited + burnt + open));
    }
}

fn random() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(3)
}

fn assert_refused(got: Result<(), LedgerError>, expected: &str) {
    match got {
        Err(LedgerError::Refused { name, .. }) => assert_eq!(name, expected),
        other => panic!("{other:?} instead of {expected}"),
    }
}

fn a_proof_accepts_a_claim_before_anyone_asks(chain: &dyn TestChain) {
    let court = Court::on(chain);
    let claim = court.claim(&court.truth(), TERMS);
    assert_eq!((claim.lane(), claim.roots.len()), (Lane::Sealed, 0));
    assert_eq!(claim.output, court.truth());
    court.answer(&claim).unwrap();
    assert_eq!(court.status(&claim), ClaimStatus::Accepted);
    assert_eq!(court.credit(CLAIMANT), TERMS.claim_bond_wei);

    // The same where the input is hidden: its bytes are in no call and no event.
    let architecture = court.secret.network().architecture();
    let hidden = InputCommitment::commit(&court.srs, architecture, &court.input, &mut random()).unwrap();
    let claim = court
        .party(CLAIMANT)
        .claim_sealed(
            court.secret.key().id(),
            HiddenInput::Committed(hidden.hash()),
            &court.truth(),
            CONTEXT,
            TERMS,
        )
        .unwrap();
    assert_eq!(
        (claim.lane(), claim.input_commitment()),
        (Lane::Private, hidden.hash())
    );
    let proof = court.prove(Input::Private(&hidden), CONTEXT).proof;
    court.party(CHALLENGER).challenge_sealed(&claim).unwrap();
    court.party(CLAIMANT).prove(&claim, &[], &proof).unwrap();
    assert_eq!(court.status(&claim), ClaimStatus::Accepted);
    court.assert_conserved(0);
}

fn a_challenged_claim_is_proven_at_the_challengers_cost(chain: &dyn TestChain) {
    let court = Court::on(chain);
    let claim = court.claim(&court.truth(), TERMS);
    let challenger = court.party(CHALLENGER);
    challenger.challenge_sealed(&claim).unwrap();
    court.assert_conserved(TERMS.claim_bond_wei + TERMS.challenge_bond_wei);
    assert_refused(court.party(OTHER).challenge_sealed(&claim), "AlreadyChallenged");
    let challenges = challenger.challenges(claim.id).unwrap();
    assert_eq!(challenges, [(0, challenger.account())]);
    assert_eq!(challenger.end(claim.id, 0).unwrap(), None);
    assert_refused(challenger.settle(&claim, 0), "TooEarly");
    court.answer(&claim).unwrap();
    assert_eq!(court.status(&claim), ClaimStatus::Accepted);
    assert_eq!(
        challenger.end(claim.id, 0).unwrap(),
        Some(ChallengeEnd::ClaimantWon)
    );
    let burnt = TERMS.challenge_bond_wei * 4 / 10;
    assert_eq!(
        court.credit(CLAIMANT),
        TERMS.claim_bond_wei + TERMS.challenge_bond_wei - burnt
    );
    assert_eq!(
        (court.credit(CHALLENGER), challenger.burnt_wei().unwrap()),
        (0, burnt)
    );
    court.assert_conserved(0);
}

fn a_claim_that_is_not_proven_in_time_falls(chain: &dyn TestChain) {
    let court = Court::on(chain);
    let claim = court.claim(&court.truth(), TERMS);
    court.party(CHALLENGER).challenge_sealed(&claim).unwrap();
    chain.advance(u64::from(TERMS.response_seconds) + 1);
    assert_refused(court.answer(&claim), "TooLate");
    court.party(OTHER).settle(&claim, 0).unwrap();
    assert_eq!(court.status(&claim), ClaimStatus::Rejected);
    let burnt = TERMS.claim_bond_wei * 4 / 10;
    assert_eq!(
        court.credit(CHALLENGER),
        TERMS.claim_bond_wei - burnt + TERMS.challenge_bond_wei
    );
    court.party(CHALLENGER).withdraw().unwrap();
    court.assert_conserved(0);
}

fn a_false_claim_cannot_be_proven(chain: &dyn TestChain) {
    let court = Court::on(chain);
    let mut output = court.truth();
    *output.last_mut().unwrap() ^= 1;
    let claim = court.claim(&output, TERMS);
    court.party(CHALLENGER).challenge_sealed(&claim).unwrap();
    // A proof of the true output, one about another input, and one made for another context.
    assert_refused(court.answer(&claim), "ProofRefused");
    let (liar, truth) = (court.party(CLAIMANT), court.claim(&court.truth(), TERMS));
    let mut other = court.input.clone();
    other[0] ^= 1;
    let proof = court.prove(Input::Public(&other), CONTEXT).proof;
    let other: Vec<u8> = other.iter().map(|value| value.cast_unsigned()).collect();
    assert_refused(liar.prove(&truth, &other, &proof), "HashMismatch");
    let replayed = court.prove(Input::Public(&court.input), [8; 32]).proof;
    assert_refused(
        liar.prove(&truth, &court.input_bytes(), &replayed),
        "ProofRefused",
    );
    chain.advance(u64::from(TERMS.response_seconds) + 1);
    court.party(OTHER).settle(&claim, 0).unwrap();
    assert_eq!(court.status(&claim), ClaimStatus::Rejected);
    court.assert_conserved(TERMS.claim_bond_wei);
}

fn an_audit_is_answered_by_a_proof_or_costs_the_bond(chain: &dyn TestChain) {
    let court = Court::on(chain);
    let (proven, silent) = (
        court.claim(&court.truth(), AUDITED),
        court.claim(&court.truth(), AUDITED),
    );
    let party = court.party(OTHER);
    assert_eq!(party.audit(silent.id).unwrap(), None);
    assert_refused(party.draw(&silent).map(|_| ()), "TooEarly");
    for _ in 0..3 {
        chain.advance(1);
    }
    for claim in [&proven, &silent] {
        assert!(party.draw(claim).unwrap());
        assert_eq!(party.audit(claim.id).unwrap(), Some(true));
    }
    court.answer(&proven).unwrap();
    assert_eq!(court.status(&proven), ClaimStatus::Accepted);
    assert_eq!(
        (court.credit(CLAIMANT), party.burnt_wei().unwrap()),
        (AUDITED.claim_bond_wei, 0)
    );
    chain.advance(u64::from(AUDITED.window_seconds) + 1);
    assert_refused(party.finalise(&silent), "StillChallenged");
    party.settle(&silent, 0).unwrap();
    assert_eq!(court.status(&silent), ClaimStatus::Rejected);
    assert_eq!(party.burnt_wei().unwrap(), AUDITED.claim_bond_wei);
    court.assert_conserved(0);
}

fn a_claim_without_challenge_or_audit_stands(chain: &dyn TestChain) {
    let court = Court::on(chain);
    let claim = court.claim(&court.truth(), TERMS);
    let party = court.party(OTHER);
    assert_refused(party.finalise(&claim), "TooEarly");
    chain.advance(u64::from(TERMS.window_seconds) + 1);
    assert_refused(court.party(CHALLENGER).challenge_sealed(&claim), "TooLate");
    party.finalise(&claim).unwrap();
    assert_eq!(court.status(&claim), ClaimStatus::Accepted);
    court.assert_conserved(0);
}
