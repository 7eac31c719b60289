//! The contract and the Rust verifier say the same of every proof.

mod support;

use alloy_primitives::{Address, Bytes, U256, hex};
use alloy_sol_types::{SolCall, SolValue as _, sol};
use counterweight_chain::address::to_evm;
use counterweight_chain::contracts::IInferenceVerifier;
use counterweight_chain::deploy::DEVELOPMENT_SET_UP;
use counterweight_chain::ledger::Refusal;
use counterweight_chain::network::{At, Call, ChainError};
use counterweight_inference::Network as IntegerNetwork;
use counterweight_primitives::architecture::{
    Architecture, Bias, Layer, Node, Output, Padding, Requantise, Shape, Window,
};
use counterweight_testkit::repetitions;
use counterweight_zkml::srs::Srs;
use counterweight_zkml::{Input, InputCommitment, SecretModel, default_row_bits};
use counterweight_zkml_verifier::curve::{G2_BYTES, encode_g2};
use counterweight_zkml_verifier::field::ORDER;
use counterweight_zkml_verifier::{InputStatement, Scheme, Statement, verify_inference};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;
use support::{Deployed, Embedded};

const CONTEXT: [u8; 32] = [7; 32];

fn requantise(shift: u8, relu: bool) -> Output {
    Output::Requantise(Requantise { shift, relu })
}

fn dense(input: u8, outputs: u16, output: Output) -> Layer {
    Layer::Dense {
        input: Node(input),
        outputs,
        bias: Bias { digits: 2, shift: 1 },
        output,
    }
}

fn conv(input: u8, channels: u16, side: u8, padding: u8, shift: u8) -> Layer {
    Layer::Conv {
        input: Node(input),
        channels,
        window: square(side, 1),
        padding: Padding {
            top: padding,
            left: padding,
            bottom: padding,
            right: padding,
        },
        bias: Bias { digits: 2, shift: 1 },
        output: requantise(shift, true),
    }
}

fn square(side: u8, stride: u8) -> Window {
    Window {
        height: side,
        width: side,
        stride_y: stride,
        stride_x: stride,
    }
}

fn pool(input: u8) -> Layer {
    Layer::MaxPool {
        input: Node(input),
        window: square(2, 2),
    }
}

/// A small network with hidden layers of each kind of slot.
fn small() -> Architecture {
    let layers = vec![
        conv(0, 2, 3, 1, 8),
        pool(1),
        dense(2, 5, requantise(9, true)),
        dense(3, 3, Output::Raw),
    ];
    Architecture::new(Shape::new(1, 4, 4).unwrap(), layers).unwrap()
}

/// 784-128-10.
fn perceptron() -> Architecture {
    let layers = vec![dense(0, 128, requantise(14, true)), dense(1, 10, Output::Raw)];
    Architecture::new(Shape::vector(784).unwrap(), layers).unwrap()
}

fn lenet() -> Architecture {
    let layers = vec![
        conv(0, 6, 5, 2, 10),
        pool(1),
        conv(2, 16, 5, 0, 12),
        pool(3),
        dense(4, 120, requantise(12, true)),
        dense(5, 84, requantise(11, true)),
        dense(6, 10, Output::Raw),
    ];
    Architecture::new(Shape::new(1, 28, 28).unwrap(), layers).unwrap()
}

/// Random weights, and an input of which most is zero, as it is in a drawn digit.
fn random(architecture: Architecture, rng: &mut ChaCha20Rng) -> (IntegerNetwork, Vec<i8>) {
    let weights = (0..architecture.weights())
        .map(|_| rng.next_u32() as i8)
        .collect();
    let biases = (0..architecture.biases())
        .map(|_| i32::from(rng.next_u32() as i16 / 2) * 2)
        .collect();
    let input = (0..architecture.input().elements())
        .map(|_| {
            let value = rng.next_u32() as i8;
            if rng.next_u32().is_multiple_of(5) {
                value
            } else {
                0
            }
        })
        .collect();
    (IntegerNetwork::new(architecture, weights, biases).unwrap(), input)
}

/// A registered model and a proof about it that holds.
struct Proven {
    deployed: Deployed,
    srs: Srs,
    secret: SecretModel,
    question: Question,
    registration_gas: u64,
}

/// What is asked of both verifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Question {
    context: [u8; 32],
    input: Asked,
    output: Vec<u8>,
    proof: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Public(Vec<u8>),
    Committed([u8; 32]),
}

impl Proven {
    fn new(architecture: Architecture, row_bits: usize, scheme: Scheme, is_private: bool) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let srs = Srs::development(row_bits).unwrap();
        let (network, input) = random(architecture, &mut rng);
        let secret = SecretModel::commit(network, &srs, scheme, &mut rng).unwrap();
        let deployed = Deployed::on(&Embedded::start());
        let key = secret.key();
        let architecture = key.model.architecture.encode();
        let commitment = key.model.commitment.encode();
        let registered = deployed
            .ledger(0)
            .register_inference_model(&architecture, &commitment, &key.registration)
            .unwrap();
        assert_eq!(registered.model, key.id());
        let (asked, answer) = if is_private {
            let hidden = InputCommitment::commit(&srs, &key.model.architecture, &input, &mut rng).unwrap();
            let answer = secret.prove(&srs, Input::Private(&hidden), CONTEXT, &mut rng);
            (Asked::Committed(hidden.hash()), answer.unwrap())
        } else {
            let answer = secret.prove(&srs, Input::Public(&input), CONTEXT, &mut rng);
            let bytes = input.iter().map(|value| value.cast_unsigned()).collect();
            (Asked::Public(bytes), answer.unwrap())
        };
        Self {
            deployed,
            srs,
            secret,
            question: Question {
                context: CONTEXT,
                input: asked,
                output: answer.output,
                proof: answer.proof,
            },
            registration_gas: registered.gas_used.unwrap(),
        }
    }

    fn calldata(&self, question: &Question) -> Bytes {
        let model = self.secret.key().id().into();
        let (context, output, proof) = (
            question.context.into(),
            question.output.clone().into(),
            question.proof.clone().into(),
        );
        match &question.input {
            Asked::Public(input) => IInferenceVerifier::verifyCall {
                modelId: model,
                context,
                input: input.clone().into(),
                output,
                proof,
            }
            .abi_encode(),
            Asked::Committed(input) => IInferenceVerifier::verifyCommittedCall {
                modelId: model,
                context,
                inputCommitment: input.into(),
                output,
                proof,
            }
            .abi_encode(),
        }
        .into()
    }

    fn call(&self, question: &Question) -> Call {
        Call {
            to: self.deployed.deployment.inference_verifier.map(to_evm),
            data: self.calldata(question),
            value: U256::ZERO,
        }
    }

    /// What the contract says.
    fn on_chain(&self, question: &Question) -> bool {
        let call = self.call(question);
        let answer = self.deployed.network.call(Address::ZERO, &call, At::Latest);
        bool::abi_decode_validate(&answer.unwrap()).unwrap()
    }

    /// Gas of a transaction that asks.
    fn gas(&self, question: &Question) -> u64 {
        let call = self.call(question);
        let sent = self.deployed.network.transact(&support::key(0), &call);
        sent.unwrap().gas_used
    }

    /// What the Rust verifier says.
    fn in_rust(&self, question: &Question) -> bool {
        let values: Vec<i8>;
        let input = match &question.input {
            Asked::Public(input) => {
                values = input.iter().map(|value| value.cast_signed()).collect();
                InputStatement::Public(&values)
            }
            Asked::Committed(hash) => InputStatement::Committed(*hash),
        };
        let statement = Statement {
            context: question.context,
            input,
            output: &question.output,
        };
        let model = &self.secret.key().model;
        verify_inference(self.srs.verifier(), model, &statement, &question.proof).is_ok()
    }

    /// Asks both, which must agree.
    fn both(&self, question: &Question) -> bool {
        let (chain, rust) = (self.on_chain(question), self.in_rust(question));
        assert_eq!(chain, rust, "the contract says {chain}, Rust says {rust}");
        chain
    }
}

fn kinds() -> [(Scheme, bool); 4] {
    [
        (Scheme::Mercury, false),
        (Scheme::Mercury, true),
        (Scheme::HyperKzg, false),
        (Scheme::HyperKzg, true),
    ]
}

#[test]
fn the_development_set_up_is_the_provers() {
    let srs = Srs::development(4).unwrap();
    let expected: [u8; G2_BYTES] = encode_g2(srs.verifier().tau_g2());
    assert_eq!(hex::encode(DEVELOPMENT_SET_UP), hex::encode(expected));
}

#[test]
fn every_byte_of_proof_and_statement_counts() {
    for (scheme, is_private) in kinds() {
        let proven = Proven::new(small(), 11, scheme, is_private);
        let question = &proven.question;
        assert!(proven.both(question), "{scheme}, private: {is_private}");
        // All of them at night.
        let step = repetitions(61, 1) as usize;
        let flip = |bytes: &[u8], at: usize| {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 1 << (at % 8);
            bytes
        };
        let mut spoilt = vec![];
        for at in (0..question.proof.len()).step_by(step) {
            let proof = flip(&question.proof, at);
            spoilt.push(Question {
                proof,
                ..question.clone()
            });
        }
        for at in 0..question.output.len() {
            let output = flip(&question.output, at);
            spoilt.push(Question {
                output,
                ..question.clone()
            });
        }
        for at in 0..32 {
            let context = flip(&question.context, at).try_into().unwrap();
            spoilt.push(Question {
                context,
                ..question.clone()
            });
        }
        let input = match &question.input {
            Asked::Public(input) => (0..input.len())
                .map(|at| Asked::Public(flip(input, at)))
                .collect(),
            Asked::Committed(hash) => (0..32)
                .map(|at| Asked::Committed(flip(hash, at).try_into().unwrap()))
                .collect::<Vec<_>>(),
        };
        spoilt.extend(input.into_iter().map(|input| Question {
            input,
            ..question.clone()
        }));
        spoilt.par_iter().enumerate().for_each(|(index, spoilt)| {
            assert!(
                !proven.both(spoilt),
                "{scheme}, private: {is_private}, case {index}"
            );
        });
    }
}

/// Spoils one thing, as a forger might.
fn mutate(question: &Question, rng: &mut ChaCha20Rng) -> Question {
    let mut question = question.clone();
    let mut below = |limit: usize| rng.next_u64() as usize % limit;
    let words = question.proof.len() / 32;
    let word = 32 * below(words);
    match below(12) {
        0 => question.proof[word + below(32)] ^= 1 << below(8),
        1 => question.proof[word + below(32)] = below(256) as u8,
        2 => question.proof.truncate(word),
        3 => question.proof.extend(vec![0; 1 + below(64)]),
        // Another encoding of the same scalar, or a coordinate past the prime.
        4 => add_order(&mut question.proof[word..word + 32]),
        // Infinity.
        5 => question.proof[word..(word + 64).min(32 * words)].fill(0),
        6 => question.proof[word..word + 32].fill(0xff),
        7 => {
            let other = 32 * below(words);
            let bytes: Vec<u8> = question.proof[other..other + 32].to_vec();
            question.proof[word..word + 32].copy_from_slice(&bytes);
        }
        8 => {
            let (place, length) = (below(question.output.len()), question.output.len());
            match below(3) {
                0 => question.output[place] = below(256) as u8,
                1 => question.output.truncate(place),
                _ => question.output.resize(length + 1 + below(40), 0),
            }
        }
        9 => question.context[below(32)] = below(256) as u8,
        10 => match &mut question.input {
            Asked::Public(input) => {
                let place = below(input.len());
                match below(3) {
                    0 => input[place] = below(256) as u8,
                    1 => input.truncate(place),
                    _ => input.push(0),
                }
            }
            Asked::Committed(hash) => hash[below(32)] = below(256) as u8,
        },
        // Nothing, so that what holds is among them.
        _ => {}
    }
    question
}

/// Adds the order of the groups, modulo 2^256.
fn add_order(word: &mut [u8]) {
    let mut carry = 0;
    for (byte, add) in word.iter_mut().zip(ORDER).rev() {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
}

#[test]
fn both_verifiers_agree_on_mutated_proofs() {
    for (scheme, is_private) in kinds() {
        let proven = Proven::new(small(), 11, scheme, is_private);
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        // 10,000 in all at night.
        let mutated: Vec<Question> = (0..repetitions(60, 2_500))
            .map(|_| mutate(&proven.question, &mut rng))
            .collect();
        mutated.par_iter().for_each(|question| {
            assert_eq!(proven.both(question), *question == proven.question);
        });
    }
}

sol! {
    struct ModelCommitment {
        bytes32 modelHash;
        bytes32 circuitHash;
        bytes32 vkHash;
        bytes4 proofSystemId;
        string uri;
    }

    struct ProvenInput {
        bytes32 salt;
        bool hidden;
        bytes input;
        bytes proof;
    }

    interface Adapter {
        function registerModel(ModelCommitment commitment) external returns (uint256 modelId);
        function verifyInference(uint256 modelId, bytes32 inputCommitment, bytes output, bytes proof) external;
        function commitmentFor(bytes32 model) external view returns (ModelCommitment);
        function commitmentOf(bytes32 salt, bool hidden, bytes input) external pure returns (bytes32);
        function contextOf(uint256 modelId, bytes32 inputCommitment) external view returns (bytes32);
    }
}

#[test]
fn the_adapter_takes_a_proof_that_is_bound_to_its_commitment() {
    let Proven {
        deployed,
        srs,
        secret,
        question,
        ..
    } = Proven::new(small(), 11, Scheme::Mercury, false);
    let call = |data: Vec<u8>| Call {
        to: deployed.deployment.erc7992_adapter.map(to_evm),
        data: data.into(),
        value: U256::ZERO,
    };
    let ask = |data| {
        deployed
            .network
            .call(Address::ZERO, &call(data), At::Latest)
            .unwrap()
    };
    let send = |data| deployed.network.transact(&support::key(0), &call(data));
    let model = secret.key().id().into();
    let known = Adapter::commitmentForCall { model };
    let commitment = Adapter::commitmentForCall::abi_decode_returns(&ask(known.abi_encode())).unwrap();
    assert_eq!(commitment.circuitHash, secret.key().model.architecture.hash().0);
    assert_eq!(commitment.vkHash, srs.id().0);
    let register = Adapter::registerModelCall { commitment };
    send(register.abi_encode()).unwrap();

    let Asked::Public(input) = question.input else {
        panic!("the input is public")
    };
    let (model_id, salt) = (U256::from(1), [5; 32].into());
    let input = Bytes::from(input);
    let asked = Adapter::commitmentOfCall {
        salt,
        hidden: false,
        input: input.clone(),
    };
    let bound = Adapter::commitmentOfCall::abi_decode_returns(&ask(asked.abi_encode())).unwrap();
    let asked = Adapter::contextOfCall {
        modelId: model_id,
        inputCommitment: bound,
    };
    let context = Adapter::contextOfCall::abi_decode_returns(&ask(asked.abi_encode())).unwrap();
    let values: Vec<i8> = input.iter().map(|value| value.cast_signed()).collect();
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let answer = secret
        .prove(&srs, Input::Public(&values), context.0, &mut rng)
        .unwrap();
    let verify = |proof: Vec<u8>| {
        let proven = ProvenInput {
            salt,
            hidden: false,
            input: input.clone(),
            proof: proof.into(),
        };
        Adapter::verifyInferenceCall {
            modelId: model_id,
            inputCommitment: bound,
            output: answer.output.clone().into(),
            proof: proven.abi_encode().into(),
        }
        .abi_encode()
    };
    send(verify(answer.proof.clone())).unwrap();
    // The proof made for another context, of the same model, input and output.
    let Err(ChainError::Reverted { data }) = send(verify(question.proof)) else {
        panic!("a proof for another context was taken")
    };
    assert_eq!(Refusal::read(&data).name, "InvalidProof");
}

/// What a verification costs: a whole transaction with its calldata.
#[test]
fn a_proof_costs_no_more_gas_than_it_is_held_to() {
    for (name, architecture, limit) in [
        ("perceptron", perceptron(), 720_000),
        ("LeNet-5", lenet(), 950_000),
    ] {
        let row_bits = default_row_bits(&architecture).unwrap();
        let proven = Proven::new(architecture, row_bits, Scheme::Mercury, false);
        assert!(proven.both(&proven.question), "{name}");
        let gas = proven.gas(&proven.question);
        eprintln!(
            "{name}: rows of 2^{row_bits}, proof of {} bytes, verification {gas} gas, registration {} gas",
            proven.question.proof.len(),
            proven.registration_gas
        );
        assert!(gas < limit, "{name}: {gas}");
    }
}
