//! Disputes end the same on every chain, and for the side that is right.

mod support;

use std::sync::Arc;

use alloy_primitives::{Address as EvmAddress, Bytes, U256};
use alloy_sol_types::SolCall as _;
use counterweight_chain::address::to_evm;
use counterweight_chain::contracts::IOpenModels;
use counterweight_chain::ledger::disputes::{
    ChallengeEnd, ClaimStatus, DisputeContracts, Disputes, LoggedClaim, Terms,
};
use counterweight_chain::network::{At, Call};
use counterweight_inference::Network as IntegerNetwork;
use counterweight_inference::dispute::{
    Action, CommittedModel, CommittedTrace, Event, Move, Opening, Phase, Player, Side, Target, tiles,
};
use counterweight_primitives::UnixSeconds;
use counterweight_primitives::architecture::{Architecture, Layer, Node, Output};
use counterweight_provenance::ledger::LedgerError;
use counterweight_testkit::{numbers, seeds};
use support::{Deployed, TestChain};

on_every_chain! {
    a_true_claim_stands_after_its_window
    a_lie_in_each_kind_of_layer_loses_to_who_recomputes
    a_wrong_accusation_costs_the_challenger_his_bond
    when_both_lie_each_loses_where_he_lied
    who_is_silent_loses_at_each_move
    who_is_silent_loses_at_each_move_of_long_layers_and_rows
    two_challengers_play_side_by_side
    weights_that_were_asked_for_are_published
    long_layers_and_rows_are_disputed_in_parts
    the_contract_holds_exactly_what_is_owed
}

const TERMS: Terms = Terms {
    window_seconds: 3600,
    response_seconds: 900,
    burnt_ppm: 500_000,
    audit_ppm: 0,
    claim_bond_wei: 1_000_000,
    challenge_bond_wei: 10_000,
};
const CONTEXT: [u8; 32] = [7; 32];

/// Who claims and who challenges, by development key.
const CLAIMANT: u32 = 1;
const CHALLENGER: u32 = 2;
const OTHER: u32 = 3;

struct Court {
    deployed: Deployed,
    contracts: DisputeContracts,
    model: Arc<CommittedModel>,
}

impl Court {
    fn on(chain: &dyn TestChain, network: IntegerNetwork) -> Self {
        let deployed = Deployed::on(chain);
        let contracts = DisputeContracts::of(&deployed.deployment).unwrap();
        let court = Self {
            deployed,
            contracts,
            model: Arc::new(CommittedModel::new(network)),
        };
        court.party(CLAIMANT).register(&court.model).unwrap();
        assert!(court.party(OTHER).is_registered(court.model.id().0).unwrap());
        court
    }

    fn party(&self, index: u32) -> Disputes {
        Disputes::new(self.deployed.ledger(index), self.contracts)
    }

    fn now(&self) -> UnixSeconds {
        UnixSeconds(self.deployed.network.head().unwrap().timestamp)
    }

    fn honest(&self) -> CommittedTrace {
        let elements = self.model.network().architecture().input().elements();
        self.model.trace(&numbers(11, elements)).unwrap()
    }

    fn claim(&self, trace: &CommittedTrace) -> LoggedClaim {
        let with_input = trace.node(Node(0)).unwrap().data().len() <= 16_384;
        self.party(CLAIMANT)
            .claim(&self.model, trace, CONTEXT, TERMS, with_input)
            .unwrap()
    }

    /// What one side does now, after all that happened.
    fn action(&self, side: Side, trace: &CommittedTrace, claim: &LoggedClaim, index: u64) -> Action {
        let mut player = Player::new(
            side,
            Arc::clone(&self.model),
            Arc::new(trace.clone()),
            claim.roots.clone(),
        );
        let mut action = Action::Done;
        for event in self.party(OTHER).history(claim.id, index).unwrap() {
            (player, action) = player.step(event, self.now());
        }
        action
    }

    /// Both sides play until the challenge ends or nobody can move; a silent one never does.
    fn play(
        &self,
        chain: &dyn TestChain,
        claim: &LoggedClaim,
        index: u64,
        claimed: &CommittedTrace,
        own: &CommittedTrace,
        silent_at: Option<Phase>,
    ) -> ChallengeEnd {
        for _ in 0..20 {
            let mut moved = false;
            for (side, party, trace) in [
                (Side::Claimant, CLAIMANT, claimed),
                (Side::Challenger, CHALLENGER, own),
            ] {
                if self.due(claim, index) == silent_at && silent_at.is_some() {
                    continue;
                }
                if let Action::Make(made, _) = self.action(side, trace, claim, index) {
                    match self.party(party).make(claim, &self.model, index, made) {
                        Ok(()) => moved = true,
                        // Whoever is mistaken tries to show a fault where there is none.
                        Err(LedgerError::Refused { name, .. }) if name == "NoFault" => {}
                        Err(error) => panic!("{side:?}: {error}"),
                    }
                }
            }
            if let Some(end) = self.party(OTHER).end(claim.id, index).unwrap() {
                return end;
            }
            if !moved {
                // Anyone settles what is overdue.
                chain.advance(u64::from(TERMS.response_seconds) + 1);
                self.party(OTHER)
                    .make(claim, &self.model, index, Move::Settle)
                    .unwrap();
            }
        }
        panic!("the challenge did not end");
    }

    fn due(&self, claim: &LoggedClaim, index: u64) -> Option<Phase> {
        let history = self.party(OTHER).history(claim.id, index).unwrap();
        history.iter().rev().find_map(|event| match event {
            Event::Due(situation) => Some(situation.phase),
            _ => None,
        })
    }

    fn assert_rejected_for(&self, claim: &LoggedClaim, winner: u32) {
        let party = self.party(winner);
        assert_eq!(party.status(claim.id).unwrap(), ClaimStatus::Rejected);
        let credit = party.credit_wei(party.account()).unwrap();
        assert_eq!(credit, TERMS.claim_bond_wei / 2 + TERMS.challenge_bond_wei);
        party.withdraw().unwrap();
        assert_eq!(party.credit_wei(party.account()).unwrap(), 0);
    }
}

fn network(architecture: Architecture, seed: u64) -> IntegerNetwork {
    let weights = numbers(seed, architecture.weights());
    let mut digits = numbers(!seed, 3 * architecture.biases()).into_iter();
    let mut biases = Vec::new();
    for step in architecture.steps() {
        let form = step.layer().bias().unwrap_or_default();
        for _ in step.biases() {
            let row: Vec<i8> = digits.by_ref().take(usize::from(form.digits)).collect();
            biases.push(i32::try_from(form.from_digits(&row)).unwrap());
        }
    }
    IntegerNetwork::new(architecture, weights, biases).unwrap()
}

/// Every kind of layer: convolution, max pool, convolution, addition, average pool, raw dense layer.
fn every_kind() -> IntegerNetwork {
    let records = [
        "43574131 06 000000000000000000000000000000000000000000 0002 0008 0008",
        "02 00 00 03 09 01 02 0000 03030101 01010101 000000000000000000 0004 0008 0008",
        "05 01 00 00 00 00 00 0000 02020202 00000000 000000000000000000 0004 0004 0004",
        "02 02 00 03 09 01 02 0000 03030101 01010101 000000000000000000 0004 0004 0004",
        "04 02 03 02 02 00 00 0302 00000000 00000000 000000000000000000 0004 0004 0004",
        "03 04 00 02 04 00 00 0500 04040404 00000000 000000000000000000 0004 0001 0001",
        "01 05 00 01 00 00 03 0000 00000000 00000000 000000000000000000 000a 0001 0001",
    ];
    network(architecture(&records), 7)
}

/// A layer of two blocks, then rows of five tiles.
fn large() -> IntegerNetwork {
    let records = [
        "43574131 02 000000000000000000000000000000000000000000 0001 0082 0082",
        "02 00 00 02 06 00 00 0000 01010101 00000000 000000000000000000 0001 0082 0082",
        "01 01 00 02 10 00 03 0000 00000000 00000000 000000000000000000 0002 0001 0001",
    ];
    network(architecture(&records), 3)
}

fn architecture(records: &[&str]) -> Architecture {
    let text: String = records.concat().replace(' ', "");
    Architecture::decode(&hex::decode(text).unwrap()).unwrap()
}

/// A run in which one element of a layer is wrong; later layers are as they would be without.
fn lie(court: &Court, layer: usize, element: usize) -> CommittedTrace {
    let trace = court.honest();
    let steps = court.model.network().architecture().steps();
    let mut nodes: Vec<Vec<u8>> = (0..=steps.len())
        .map(|node| trace.node(Node(node as u8)).unwrap().data().to_vec())
        .collect();
    let raw = steps[layer].layer().output() == Some(Output::Raw);
    nodes[layer + 1][if raw { 4 * element + 3 } else { element }] ^= 1;
    CommittedTrace::from_nodes(nodes).unwrap()
}

fn a_true_claim_stands_after_its_window(chain: &dyn TestChain) {
    let court = Court::on(chain, every_kind());
    let claim = court.claim(&court.honest());
    let watcher = court.party(OTHER);
    assert_eq!(
        watcher.claims(Some(claim.id)).unwrap(),
        std::slice::from_ref(&claim)
    );
    assert_eq!(watcher.claims(None).unwrap().len(), 1);
    assert_eq!(court.honest().first_difference(&claim.roots), None);
    assert_eq!(watcher.status(claim.id).unwrap(), ClaimStatus::Pending);
    assert!(matches!(watcher.finalise(&claim), Err(LedgerError::Refused { name, .. }) if name == "TooEarly"));
    chain.advance(u64::from(TERMS.window_seconds) + 1);
    watcher.finalise(&claim).unwrap();
    assert_eq!(watcher.status(claim.id).unwrap(), ClaimStatus::Accepted);
    let claimant = court.party(CLAIMANT);
    assert_eq!(
        claimant.credit_wei(claimant.account()).unwrap(),
        TERMS.claim_bond_wei
    );
    claimant.withdraw().unwrap();
}

fn a_lie_in_each_kind_of_layer_loses_to_who_recomputes(chain: &dyn TestChain) {
    let court = Court::on(chain, every_kind());
    for step in court.model.network().architecture().steps() {
        let (layer, last) = (step.index(), step.output_shape().elements() - 1);
        let claimed = lie(&court, layer, last);
        let claim = court.claim(&claimed);
        let own = court.honest();
        assert_eq!(own.first_difference(&claim.roots), Some(layer));
        let index = court
            .party(CHALLENGER)
            .challenge(&claim, &court.model, layer)
            .unwrap();
        let end = court.play(chain, &claim, index, &claimed, &own, None);
        assert_eq!(end, ChallengeEnd::ChallengerWon, "{}", step.layer().kind());
        court.assert_rejected_for(&claim, CHALLENGER);
    }
}

fn a_wrong_accusation_costs_the_challenger_his_bond(chain: &dyn TestChain) {
    let court = Court::on(chain, every_kind());
    let (claimed, own) = (court.honest(), lie(&court, 3, 5));
    let claim = court.claim(&claimed);
    let challenger = court.party(CHALLENGER);
    let index = challenger.challenge(&claim, &court.model, 3).unwrap();
    let Action::Make(reveal, _) = court.action(Side::Claimant, &claimed, &claim, index) else {
        panic!("nothing to reveal")
    };
    court
        .party(CLAIMANT)
        .make(&claim, &court.model, index, reveal)
        .unwrap();
    let Action::Make(step, _) = court.action(Side::Challenger, &own, &claim, index) else {
        panic!("no step")
    };
    let refused = challenger.make(&claim, &court.model, index, step).unwrap_err();
    assert!(
        matches!(&refused, LedgerError::Refused { name, .. } if name == "NoFault"),
        "{refused:?}"
    );
    chain.advance(u64::from(TERMS.response_seconds) + 1);
    court
        .party(OTHER)
        .make(&claim, &court.model, index, Move::Settle)
        .unwrap();
    let claimant = court.party(CLAIMANT);
    let credit = claimant.credit_wei(claimant.account()).unwrap();
    assert_eq!(credit, TERMS.challenge_bond_wei / 2);
    assert_eq!(challenger.credit_wei(challenger.account()).unwrap(), 0);
    assert_eq!(challenger.burnt_wei().unwrap(), TERMS.challenge_bond_wei / 2);
    assert_eq!(challenger.status(claim.id).unwrap(), ClaimStatus::Pending);
}

fn who_is_silent_loses_at_each_move(chain: &dyn TestChain) {
    let court = Court::on(chain, every_kind());
    for (silent_at, expected) in [
        (Phase::Publish, ChallengeEnd::ChallengerWon),
        (Phase::Name, ChallengeEnd::ClaimantWon),
        (Phase::Reveal, ChallengeEnd::ChallengerWon),
        (Phase::Point, ChallengeEnd::ClaimantWon),
    ] {
        let claimed = lie(&court, 2, 1);
        let claim = court.claim(&claimed);
        let index = court
            .party(CHALLENGER)
            .demand(&claim, &court.model, Target::Layer(0), 0)
            .unwrap();
        let end = court.play(chain, &claim, index, &claimed, &court.honest(), Some(silent_at));
        assert_eq!(end, expected, "{silent_at:?}");
        assert_eq!(court.due(&claim, index), Some(silent_at));
    }
}

fn who_is_silent_loses_at_each_move_of_long_layers_and_rows(chain: &dyn TestChain) {
    let court = Court::on(chain, large());
    for (layer, element, silent_at, expected) in [
        (0, 16_899, Phase::Split, ChallengeEnd::ChallengerWon),
        (0, 16_899, Phase::Pick, ChallengeEnd::ClaimantWon),
        (0, 16_899, Phase::Reveal, ChallengeEnd::ChallengerWon),
        (1, 1, Phase::Point, ChallengeEnd::ClaimantWon),
        (1, 1, Phase::Sum, ChallengeEnd::ChallengerWon),
        (1, 1, Phase::Tile, ChallengeEnd::ClaimantWon),
    ] {
        let (mut claimed, mut own) = (lie(&court, layer, element), court.honest());
        if silent_at == Phase::Tile {
            // Whoever claimed a wrong element has no sums that make it: this move is due after true ones only.
            std::mem::swap(&mut claimed, &mut own);
        }
        let claim = court.claim(&claimed);
        let index = court
            .party(CHALLENGER)
            .challenge(&claim, &court.model, layer)
            .unwrap();
        let end = court.play(chain, &claim, index, &claimed, &own, Some(silent_at));
        assert_eq!(end, expected, "{silent_at:?}");
        assert_eq!(court.due(&claim, index), Some(silent_at));
    }
}

fn when_both_lie_each_loses_where_he_lied(chain: &dyn TestChain) {
    let court = Court::on(chain, every_kind());
    let (claimed, own) = (lie(&court, 3, 7), lie(&court, 0, 4));
    let claim = court.claim(&claimed);
    let challenger = court.party(CHALLENGER);
    assert_eq!(own.first_difference(&claim.roots), Some(0));
    let wrong = challenger.challenge(&claim, &court.model, 0).unwrap();
    let end = court.play(chain, &claim, wrong, &claimed, &own, None);
    assert_eq!(end, ChallengeEnd::ClaimantWon);
    assert_eq!(challenger.status(claim.id).unwrap(), ClaimStatus::Pending);
    // The same claim falls to the same account once it accuses the layer that is wrong.
    let right = challenger.challenge(&claim, &court.model, 3).unwrap();
    let end = court.play(chain, &claim, right, &claimed, &court.honest(), None);
    assert_eq!(end, ChallengeEnd::ChallengerWon);
    court.assert_rejected_for(&claim, CHALLENGER);
}

fn two_challengers_play_side_by_side(chain: &dyn TestChain) {
    let court = Court::on(chain, every_kind());
    let claimed = lie(&court, 4, 2);
    let claim = court.claim(&claimed);
    let other = court.party(OTHER);
    let mistaken = other.challenge(&claim, &court.model, 1).unwrap();
    let right = court
        .party(CHALLENGER)
        .challenge(&claim, &court.model, 4)
        .unwrap();
    let challengers = other.challenges(claim.id).unwrap();
    assert_eq!(
        challengers,
        [
            (mistaken, other.account()),
            (right, court.party(CHALLENGER).account())
        ]
    );
    let end = court.play(chain, &claim, right, &claimed, &court.honest(), None);
    assert_eq!(end, ChallengeEnd::ChallengerWon);
    court.assert_rejected_for(&claim, CHALLENGER);
    other.make(&claim, &court.model, mistaken, Move::Settle).unwrap();
    assert_eq!(
        other.end(claim.id, mistaken).unwrap(),
        Some(ChallengeEnd::Returned)
    );
    assert_eq!(
        other.credit_wei(other.account()).unwrap(),
        TERMS.challenge_bond_wei
    );
}

fn weights_that_were_asked_for_are_published(chain: &dyn TestChain) {
    let court = Court::on(chain, every_kind());
    let claimed = lie(&court, 5, 9);
    let claim = court.claim(&claimed);
    for target in [Target::Layer(5), Target::Input] {
        let index = court
            .party(CHALLENGER)
            .demand(&claim, &court.model, target, 0)
            .unwrap();
        let Action::Make(publish, _) = court.action(Side::Claimant, &claimed, &claim, index) else {
            panic!("nothing to publish")
        };
        let party = court.party(OTHER);
        party.make(&claim, &court.model, index, publish).unwrap();
        let shown = party.history(claim.id, index).unwrap().into_iter();
        let shown: Vec<_> = shown
            .filter_map(|event| match event {
                Event::Shown(data) => Some(data),
                _ => None,
            })
            .collect();
        let expected = match target {
            Target::Input => claimed.node(Node(0)).unwrap().data(),
            Target::Layer(layer) => court.model.weights(layer).unwrap().data(),
        };
        assert_eq!(shown, [expected]);
        if target == Target::Input {
            let end = court.play(chain, &claim, index, &claimed, &court.honest(), None);
            assert_eq!(end, ChallengeEnd::ChallengerWon);
        }
    }
}

fn long_layers_and_rows_are_disputed_in_parts(chain: &dyn TestChain) {
    let court = Court::on(chain, large());
    assert_eq!(tiles(&court.model.network().architecture().steps()[1]), 5);
    for (layer, element) in [(0, 16_899), (1, 1)] {
        let claimed = lie(&court, layer, element);
        let claim = court.claim(&claimed);
        let index = court
            .party(CHALLENGER)
            .challenge(&claim, &court.model, layer)
            .unwrap();
        let end = court.play(chain, &claim, index, &claimed, &court.honest(), None);
        assert_eq!(end, ChallengeEnd::ChallengerWon, "layer {layer}");
    }
    // True sums, every tile of which the challenger may doubt.
    let claimed = court.honest();
    let claim = court.claim(&claimed);
    let index = court
        .party(CHALLENGER)
        .challenge(&claim, &court.model, 1)
        .unwrap();
    let own = lie(&court, 1, 1);
    let end = court.play(chain, &claim, index, &claimed, &own, None);
    assert_eq!(end, ChallengeEnd::ClaimantWon);
    let history = court.party(OTHER).history(claim.id, index).unwrap();
    assert!(
        history
            .iter()
            .any(|event| matches!(event, Event::Summed(sums) if sums.len() == 5))
    );
}

fn the_contract_holds_exactly_what_is_owed(chain: &dyn TestChain) {
    let court = Court::on(chain, every_kind());
    let parties: Vec<Disputes> = [CLAIMANT, CHALLENGER, OTHER]
        .into_iter()
        .map(|index| court.party(index))
        .collect();
    let balance = |open: u128| {
        let credited: u128 = parties
            .iter()
            .map(|party| party.credit_wei(party.account()).unwrap())
            .sum();
        let held = court
            .deployed
            .network
            .balance(to_evm(court.contracts.dispute), At::Latest)
            .unwrap();
        assert_eq!(
            held,
            U256::from(credited + open + parties[0].burnt_wei().unwrap())
        );
    };
    let (truth, false_one) = (court.honest(), lie(&court, 0, 0));
    let (stands, falls) = (court.claim(&truth), court.claim(&false_one));
    balance(2 * TERMS.claim_bond_wei);
    let wrong = parties[1].challenge(&stands, &court.model, 0).unwrap();
    let right = parties[2].challenge(&falls, &court.model, 0).unwrap();
    balance(2 * (TERMS.claim_bond_wei + TERMS.challenge_bond_wei));
    assert_eq!(
        court.play(chain, &stands, wrong, &truth, &false_one, None),
        ChallengeEnd::ClaimantWon
    );
    assert_eq!(
        court.play(chain, &falls, right, &false_one, &truth, Some(Phase::Reveal)),
        ChallengeEnd::ChallengerWon
    );
    balance(TERMS.claim_bond_wei);
    chain.advance(u64::from(TERMS.window_seconds) + 1);
    parties[1].finalise(&stands).unwrap();
    balance(0);
    for party in &parties {
        if party.credit_wei(party.account()).unwrap() != 0 {
            party.withdraw().unwrap();
        }
    }
    balance(0);
}

/// One element of 10,000 random layers, of every architecture of the shared vectors, by the contract and by the executor.
#[test]
fn the_contract_recomputes_ten_thousand_layers_as_the_executor_does() {
    let chain = support::Embedded::start();
    let deployed = Deployed::on(&chain);
    let models = deployed.deployment.open_models.unwrap();
    let file = include_str!("../../../testdata/arithmetic-v1.json");
    let vectors: serde_json::Value = serde_json::from_str(file).unwrap();
    let mut layers = 0_usize;
    let networks = vectors["networks"].as_array().unwrap();
    for (case, vector) in networks.iter().enumerate() {
        let bytes = hex::decode(vector["architecture"].as_str().unwrap()).unwrap();
        let architecture = Architecture::decode(&bytes).unwrap();
        for seed in seeds(case, networks.len(), architecture.steps().len()) {
            let model = CommittedModel::new(network(architecture.clone(), seed));
            let input = numbers(seed + 7, architecture.input().elements());
            let own = model.network().trace(&input).unwrap();
            let trace = CommittedTrace::of(model.network(), &own);
            for step in architecture.steps() {
                layers += 1;
                let element = (seed as usize * 31 + layers) % step.output_shape().elements();
                let expected = match step.layer().output() {
                    Some(Output::Raw) => own.accumulators(step.index())[element],
                    _ => i32::from(own.activations(step.node())[element]),
                };
                // A run that is wrong there: what its challenger opens is what the contract needs.
                let mut nodes: Vec<Vec<u8>> = (0..=architecture.steps().len())
                    .map(|node| trace.node(Node(node as u8)).unwrap().data().to_vec())
                    .collect();
                let raw = step.layer().output() == Some(Output::Raw);
                nodes[step.index() + 1][if raw { 4 * element + 3 } else { element }] ^= 1;
                let (input_opening, other) = openings(
                    &model,
                    &trace,
                    CommittedTrace::from_nodes(nodes).unwrap(),
                    step.index(),
                );
                let mut inputs = step.layer().inputs().map(|node| trace.node(node).unwrap().root());
                let input_root = inputs.next().unwrap();
                let other_root = match step.layer() {
                    Layer::Add { .. } => inputs.next().unwrap(),
                    _ => model.weight_roots()[step.index()],
                };
                let call = IOpenModels::recomputeCall {
                    architecture: bytes.clone().into(),
                    layer: step.index() as u8,
                    element: U256::from(element),
                    inputRoot: input_root.0.into(),
                    otherRoot: other_root.0.into(),
                    input: opening(input_opening),
                    other: opening(other),
                };
                let request = Call {
                    to: Some(to_evm(models)),
                    data: call.abi_encode().into(),
                    value: U256::ZERO,
                };
                let answer = deployed
                    .network
                    .call(EvmAddress::ZERO, &request, At::Latest)
                    .unwrap();
                let value = IOpenModels::recomputeCall::abi_decode_returns(&answer).unwrap();
                assert_eq!(
                    i32::try_from(value).unwrap(),
                    expected,
                    "case {case}, {:?}",
                    step.layer()
                );
            }
        }
    }
    assert!(layers >= 10_000, "{layers}");
}

fn opening(opening: Opening) -> IOpenModels::Opening {
    IOpenModels::Opening {
        leaves: Bytes::from(opening.leaves),
        siblings: opening.siblings.into_iter().map(Into::into).collect(),
    }
}

/// The openings a challenger makes against `claimed`.
fn openings(
    model: &CommittedModel,
    own: &CommittedTrace,
    claimed: CommittedTrace,
    layer: usize,
) -> (Opening, Opening) {
    // A player owns what it plays with; a small network is soon committed to again.
    let model = Arc::new(CommittedModel::new(model.network().clone()));
    let node = claimed.node(Node(layer as u8 + 1)).unwrap().data().to_vec();
    let roots = claimed.roots();
    let player = Player::new(Side::Challenger, model, Arc::new(own.clone()), roots);
    let situation = counterweight_inference::dispute::Situation {
        phase: Phase::Point,
        deadline: UnixSeconds(9),
        target: Target::Layer(layer),
        part: 0,
    };
    let (player, _) = player.step(Event::Shown(node), UnixSeconds(1));
    match player.step(Event::Due(situation), UnixSeconds(1)).1 {
        Action::Make(Move::Step { input, other, .. }, _) => (input, other),
        action => panic!("{action:?}"),
    }
}
