//! A committed model: what its owner keeps and what everybody gets.

use std::fmt;

use counterweight_inference::Network;
use counterweight_primitives::architecture::Architecture;
use counterweight_zkml_verifier::file::ModelKey;
use counterweight_zkml_verifier::model::{Model, WeightCommitment};
use counterweight_zkml_verifier::opening::Scheme;
use counterweight_zkml_verifier::plan::{
    FEWEST_ROW_BITS, MOST_ROW_BITS, Plan, PlanError, Visibility, WeightPlan, mask_coefficients,
};
use counterweight_zkml_verifier::verify::{
    InputStatement, RegistrationPlan, Statement, registration_transcript,
};
use counterweight_zkml_verifier::{Fr, G1Affine, Transcript};
use rand_core::RngCore;
use rayon::prelude::*;

use crate::conversation::Conversation;
use crate::error::ProveError;
use crate::input::InputCommitment;
use crate::prover::registration::Registration;
use crate::prover::{self, Honest, Interference, Job, Phase};
use crate::random;
use crate::srs::Srs;
use crate::witness::{PackedWeights, SlotMasks, Witness, commit_mixed, commit_small};

/// A model as its owner keeps it: weights, and what hides them in the commitment. **Whoever has it has the model.**
pub struct SecretModel {
    pub(crate) network: Network,
    pub(crate) weights: PackedWeights,
    pub(crate) blindings: Vec<Fr>,
    pub(crate) key: ModelKey,
}

/// What is asked about.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// Everybody may see it: row-major.
    Public(&'a [i8]),
    /// Only its commitment is seen.
    Private(&'a InputCommitment),
}

/// An answer with its proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenAnswer {
    /// The answer's bytes, as docs/spec/arithmetic.md has them.
    pub output: Vec<u8>,
    /// The proof, docs/spec/zkml.md.
    pub proof: Vec<u8>,
}

/// Row length for an architecture: the bits of a row's index.
///
/// Shorter rows are cheaper to prove with; each row costs the verifier a point. This keeps the rows of a proof, those of the weights
/// and those of the witness, within 24 for a small network and within 64 for a large one, where longer rows would be what proving
/// costs most.
///
/// # Errors
/// [`PlanError`] for an architecture that takes too many rows whatever their length.
pub fn default_row_bits(architecture: &Architecture) -> Result<usize, PlanError> {
    let cells = {
        let longest = WeightPlan::new(architecture, MOST_ROW_BITS)?;
        let end =
            |block: &counterweight_zkml_verifier::plan::WeightBlock| block.offset + (1_usize << block.bits());
        longest.blocks.iter().map(end).max().unwrap_or(1)
    };
    let most = if cells > LARGE { MOST_ROWS_LARGE } else { MOST_ROWS };
    for row_bits in FEWEST_ROW_BITS..MOST_ROW_BITS {
        // Rows that are too short for a network are refused too.
        if let Ok(plan) = Plan::new(architecture, row_bits, Visibility::Public)
            && plan.weight_rows + plan.first.rows + plan.second.rows <= most
        {
            return Ok(row_bits);
        }
    }
    Ok(MOST_ROW_BITS)
}

/// Rows of a proof that [`default_row_bits`] goes up to, for a small and for a large network.
const MOST_ROWS: usize = 24;
const MOST_ROWS_LARGE: usize = 64;
/// Cells of weights from which a network is large.
const LARGE: usize = 1 << 19;

impl SecretModel {
    /// Commits to a network under a set-up, whose row length it takes, and proves once that its weights are int8.
    ///
    /// Committing again hides the same weights behind another commitment: a model has one id for each.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn commit(
        network: Network,
        srs: &Srs,
        scheme: Scheme,
        rng: &mut impl RngCore,
    ) -> Result<Self, ProveError> {
        let row_bits = srs.variables();
        let plan = WeightPlan::new(network.architecture(), row_bits)?;
        // Refused here rather than at the first question.
        Plan::new(network.architecture(), row_bits, Visibility::Private)?;
        let weights = PackedWeights::new(&plan, &network, rng);
        let blindings = random::scalars(rng, plan.rows);
        let rows = commit_rows(srs, &weights, &blindings);
        let model = Model {
            architecture: network.architecture().clone(),
            commitment: WeightCommitment {
                row_bits,
                scheme,
                rows,
            },
        };
        let mut secret = Self {
            network,
            weights,
            blindings,
            key: ModelKey {
                model,
                srs: srs.id(),
                registration: Vec::new(),
                card: Vec::new(),
            },
        };
        secret.key.registration = secret.register(srs, rng)?;
        Ok(secret)
    }

    fn register(&self, srs: &Srs, rng: &mut impl RngCore) -> Result<Vec<u8>, ProveError> {
        let plan = RegistrationPlan::new(self.network.architecture(), srs.variables())?;
        let scheme = self.key.model.commitment.scheme;
        let registration = Registration {
            srs,
            scheme,
            plan: &plan,
            weights: &self.weights,
            blindings: &self.blindings,
        };
        let transcript = registration_transcript(self.key.id());
        let mut conversation = Conversation::new(transcript, Vec::new());
        registration.prove(&mut conversation, rng)?;
        Ok(conversation.finish())
    }

    /// Commits and registers again, whatever the cells hold by now.
    #[cfg(test)]
    pub(crate) fn recommit(&mut self, srs: &Srs) {
        use rand_core::SeedableRng as _;
        self.key.model.commitment.rows = commit_rows(srs, &self.weights, &self.blindings);
        self.key.registration = self
            .register(srs, &mut rand_chacha::ChaCha20Rng::seed_from_u64(5))
            .unwrap();
    }

    /// What everybody gets.
    #[must_use]
    pub fn key(&self) -> &ModelKey {
        &self.key
    }

    /// The network, weights and all.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Answers an input and proves the answer, bound to a context.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn prove(
        &self,
        srs: &Srs,
        input: Input<'_>,
        context: [u8; 32],
        rng: &mut impl RngCore,
    ) -> Result<ProvenAnswer, ProveError> {
        self.prove_observed(srs, input, context, rng, &mut |_| {})
    }

    /// As [`prove`](Self::prove); `observe` is called at the end of each phase, so that a caller with a clock can time them.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn prove_observed(
        &self,
        srs: &Srs,
        input: Input<'_>,
        context: [u8; 32],
        rng: &mut impl RngCore,
        observe: &mut dyn FnMut(Phase),
    ) -> Result<ProvenAnswer, ProveError> {
        self.prove_with(srs, input, context, rng, (None, &mut Honest), observe)
    }

    /// As [`prove_observed`](Self::prove_observed), with interference, and in a given conversation: what tests do.
    pub(crate) fn prove_with(
        &self,
        srs: &Srs,
        input: Input<'_>,
        context: [u8; 32],
        rng: &mut impl RngCore,
        (transcript, interference): (Option<Transcript>, &mut impl Interference),
        observe: &mut dyn FnMut(Phase),
    ) -> Result<ProvenAnswer, ProveError> {
        let commitment = &self.key.model.commitment;
        if srs.variables() != commitment.row_bits {
            return Err(ProveError::RowBits {
                expected: commitment.row_bits,
                got: srs.variables(),
            });
        }
        if srs.id() != self.key.srs {
            return Err(ProveError::OtherSrs {
                expected: self.key.srs,
                got: srs.id(),
            });
        }
        let (values, statement, rows, input_blindings): (_, _, &[G1Affine], &[Fr]) = match input {
            Input::Public(values) => (values, InputStatement::Public(values), &[], &[]),
            Input::Private(input) => (
                input.values(),
                InputStatement::Committed(input.hash()),
                input.rows(),
                input.blindings(),
            ),
        };
        let architecture = self.network.architecture();
        let plan = Plan::new(architecture, commitment.row_bits, statement.visibility())?;
        let trace = self.network.trace(values)?;
        let masks = SlotMasks::draw(used_masks(&plan), rng);
        let mut witness = Witness::new(&plan, &trace, masks);
        let mut output = trace.answer().to_bytes();
        interference.witness(&plan, &mut witness, &mut output);
        observe(Phase::Witness);

        let statement = Statement {
            context,
            input: statement,
            output: &output,
        };
        let bytes = commitment
            .rows
            .iter()
            .chain(rows)
            .flat_map(counterweight_zkml_verifier::curve::encode_g1);
        let mut conversation = Conversation::new(
            transcript.unwrap_or_else(|| statement.transcript(self.key.id())),
            bytes.collect(),
        );
        let job = Job {
            srs,
            scheme: commitment.scheme,
            plan: &plan,
            weights: &self.weights,
            weight_blindings: &self.blindings,
            input_blindings,
            trace: &trace,
        };
        prover::infer(&job, interference, &witness, &mut conversation, rng, observe)?;
        Ok(ProvenAnswer {
            output,
            proof: conversation.finish(),
        })
    }
}

/// Cells of the mask segment that hold masks.
fn used_masks(plan: &Plan) -> usize {
    mask_coefficients(plan.rounds)
        + plan
            .weights
            .iter()
            .filter(|block| block.mask_cell.is_some())
            .count()
}

/// Commits to the rows of the weights, mask cells included.
fn commit_rows(srs: &Srs, weights: &PackedWeights, blindings: &[Fr]) -> Vec<G1Affine> {
    let all = weights.large();
    let row = |(row, blinding): (usize, &Fr)| {
        let cells = weights.row(srs.variables(), row);
        let own = all.iter().filter(|(cell, _)| cell >> srs.variables() == row);
        let large: Vec<(usize, Fr)> = own
            .map(|(cell, value)| (cell % srs.row_length(), *value))
            .collect();
        if large.is_empty() {
            commit_small(srs, cells, blinding)
        } else {
            commit_mixed(srs, cells, &large, blinding)
        }
    };
    blindings.par_iter().enumerate().map(row).collect()
}

impl fmt::Debug for SecretModel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SecretModel")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
