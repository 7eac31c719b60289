//! From claims on committed vectors to one opened row: the second sum-check and what it opens.

use counterweight_zkml_verifier::curve::Curve;
use counterweight_zkml_verifier::field::Field;
use counterweight_zkml_verifier::opening::Scheme;
use counterweight_zkml_verifier::{Fr, G1Affine};
use rand_core::RngCore;
use rayon::prelude::*;

use super::polynomial::{bind, scaled_eq};
use super::{Phase, ProveError};
use crate::conversation::Conversation;
use crate::opening;
use crate::random;
use crate::srs::Srs;
use crate::witness::{Committed, commit_dense, commit_sparse};

/// Which committed vector rows belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// The weights.
    Weights,
    /// A private input.
    Input,
    /// The first witness vector.
    First,
    /// The second.
    Second,
    /// The two rows that mask the second sum-check.
    RoundMasks,
}

/// Part of what the second sum-check sums: `Σ_x functional(x) vector(x)`.
pub(crate) struct Term {
    /// One row's functional.
    pub(crate) functional: Vec<Fr>,
    /// The sum of rows times factors that it is applied to.
    pub(crate) vector: Vec<Fr>,
    /// Whose rows.
    pub(crate) kind: Rows,
    /// The rows, each with its factor.
    pub(crate) rows: Vec<(usize, Fr)>,
}

impl Term {
    /// A term of a single row.
    pub(crate) fn single(kind: Rows, row: usize, functional: Vec<Fr>, vector: Vec<Fr>) -> Self {
        Self {
            functional,
            vector,
            kind,
            rows: vec![(row, Fr::ONE)],
        }
    }

    /// Terms of the rows of a vector, as far as they are claimed anything of. Both have the length of whole rows.
    pub(crate) fn of_rows(kind: Rows, row_bits: usize, functional: &[Fr], vector: &[Fr]) -> Vec<Self> {
        functional
            .chunks(1 << row_bits)
            .zip(vector.chunks(1 << row_bits))
            .enumerate()
            .filter(|(_, (functional, _))| functional.iter().any(|value| !bool::from(value.is_zero())))
            .map(|(row, (functional, vector))| Self::single(kind, row, functional.to_vec(), vector.to_vec()))
            .collect()
    }
}

/// The masks of the second sum-check and of the opening.
pub(crate) struct RowMasks {
    /// Values at indices 0 and the powers of two of the row that meets `eq(mask point, ·)`, and of the row that is added.
    pub(crate) rounds: [Vec<(usize, Fr)>; 2],
    /// A uniform row.
    pub(crate) row: Vec<Fr>,
    pub(crate) row_blinding: Fr,
    round_rows: Committed,
}

impl RowMasks {
    /// Draws the masks.
    pub(crate) fn draw(srs: &Srs, rng: &mut impl RngCore) -> Self {
        let cells = |rng: &mut _| -> Vec<(usize, Fr)> {
            let indices = std::iter::once(0).chain((0..srs.variables()).map(|bit| 1 << bit));
            indices.map(|index| (index, random::scalar(rng))).collect()
        };
        let rounds = [cells(rng), cells(rng)];
        let row = random::scalars(rng, srs.row_length());
        let row_blinding = random::scalar(rng);
        let mut round_rows = Committed::default();
        for _ in 0..2 {
            round_rows.push(random::scalar(rng), G1Affine::default());
        }
        Self {
            rounds,
            row,
            row_blinding,
            round_rows,
        }
    }

    /// Commits to them: two sparse rows, then the uniform one.
    pub(crate) fn commit(&mut self, srs: &Srs, conversation: &mut Conversation) {
        let (row, rounds) = rayon::join(
            || commit_dense(srs, &self.row, &self.row_blinding),
            || {
                let pairs = self.rounds.iter().zip(&self.round_rows.blindings);
                pairs
                    .map(|(cells, blinding)| commit_sparse(srs, cells, blinding))
                    .collect::<Vec<_>>()
            },
        );
        for point in &rounds {
            conversation.point(point);
        }
        conversation.point(&row);
        self.round_rows.points = rounds;
    }

    fn dense(&self, which: usize) -> Vec<Fr> {
        let mut row = vec![Fr::ZERO; self.row.len()];
        self.rounds[which]
            .iter()
            .for_each(|(index, value)| row[*index] += value);
        row
    }
}

/// What every claim comes down to, once their functionals are known.
pub(crate) struct Reduction<'a> {
    /// The set-up.
    pub(crate) srs: &'a Srs,
    /// How the row is opened.
    pub(crate) scheme: Scheme,
    /// Masks that were committed to.
    pub(crate) masks: RowMasks,
    /// Blindings by vector.
    pub(crate) blindings: &'a dyn Fn(Rows, usize) -> Fr,
}

impl Reduction<'_> {
    /// Draws the mask point and sends what the masks sum to; the terms of the masks.
    pub(crate) fn mask_terms(&self, conversation: &mut Conversation) -> Vec<Term> {
        let point = conversation.challenges(self.srs.variables());
        let same = scaled_eq(&point, Fr::ONE);
        let [first, second] = [self.dense_mask(0), self.dense_mask(1)];
        let sum: Fr = second.iter().sum::<Fr>() + same.iter().zip(&first).map(|(a, b)| *a * b).sum::<Fr>();
        conversation.scalar(&sum);
        let ones = vec![Fr::ONE; second.len()];
        vec![
            Term::single(Rows::RoundMasks, 0, same, first),
            Term::single(Rows::RoundMasks, 1, ones, second),
        ]
    }

    fn dense_mask(&self, which: usize) -> Vec<Fr> {
        self.masks.dense(which)
    }

    /// Runs the second sum-check over all terms and opens the row it leads to.
    pub(crate) fn finish(
        self,
        conversation: &mut Conversation,
        terms: Vec<Term>,
        opened: &mut dyn FnMut(&[Fr]),
        observe: &mut dyn FnMut(Phase),
    ) -> Result<(), ProveError> {
        let (point, functionals) = rounds(conversation, &terms, self.srs.variables());
        let mut combined = vec![Fr::ZERO; self.srs.row_length()];
        for (term, value) in terms.iter().zip(&functionals) {
            let add = |(sum, entry): (&mut Fr, &Fr)| {
                if !bool::from(entry.is_zero()) {
                    *sum += *value * entry;
                }
            };
            combined
                .par_iter_mut()
                .zip(&term.vector)
                .with_min_len(1 << 10)
                .for_each(add);
        }
        let weights = scaled_eq(&point, Fr::ONE);
        let dot = |row: &[Fr]| -> Fr { weights.par_iter().zip(row).map(|(a, b)| *a * b).sum() };
        let mask_value = dot(&self.masks.row);
        conversation.scalar(&mask_value);
        let factor = conversation.challenge();
        let of_rows: Fr = terms
            .iter()
            .zip(&functionals)
            .map(|(term, value)| {
                let of_row = |(row, factor): &(usize, Fr)| {
                    *factor
                        * match term.kind {
                            Rows::RoundMasks => self.masks.round_rows.blindings[*row],
                            kind => (self.blindings)(kind, *row),
                        }
                };
                *value * term.rows.iter().map(of_row).sum::<Fr>()
            })
            .sum();
        let blinding = self.masks.row_blinding + factor * of_rows;
        conversation.scalar(&blinding);
        combined
            .par_iter_mut()
            .zip(&self.masks.row)
            .with_min_len(1 << 10)
            .for_each(|(sum, mask)| {
                *sum = *sum * factor + mask;
            });
        let value = dot(&combined);
        opened(&combined);
        observe(Phase::SecondSumcheck);
        let commitment = crate::commit::unblinded(self.srs, &combined).to_affine();
        let proof = opening::open(
            self.srs,
            self.scheme,
            conversation.transcript(),
            &commitment,
            &combined,
            &point,
            &value,
        )?;
        conversation.opening(&proof);
        observe(Phase::Opening);
        Ok(())
    }
}

/// The rounds: the point, and each functional's value there. Terms are kept whole, since they are combined afterwards.
fn rounds(conversation: &mut Conversation, terms: &[Term], variables: usize) -> (Vec<Fr>, Vec<Fr>) {
    let mut folded: Vec<[Vec<Fr>; 2]> = Vec::new();
    let mut point = Vec::with_capacity(variables);
    for round in 0..variables {
        let pair = |index: usize| -> [&[Fr]; 2] {
            match (round, folded.get(index)) {
                (1.., Some([functional, vector])) => [functional, vector],
                _ => [&terms[index].functional, &terms[index].vector],
            }
        };
        let sums = (0..terms.len())
            .map(|index| constant_and_quadratic(pair(index)))
            .fold([Fr::ZERO; 2], |left, right| {
                [left[0] + right[0], left[1] + right[1]]
            });
        sums.iter()
            .for_each(|coefficient| conversation.scalar(coefficient));
        let at = conversation.challenge();
        point.push(at);
        if round == 0 {
            folded = terms
                .iter()
                .map(|term| [halved(&term.functional, at), halved(&term.vector, at)])
                .collect();
        } else {
            folded.iter_mut().flatten().for_each(|table| bind(table, at));
        }
    }
    let values = folded
        .iter()
        .map(|[functional, _]| functional.first().copied().unwrap_or(Fr::ZERO));
    (point, values.collect())
}

/// Constant and quadratic coefficient of the sum of products with the first variable left open.
fn constant_and_quadratic([functional, vector]: [&[Fr]; 2]) -> [Fr; 2] {
    let half = functional.len() / 2;
    let ((l0, l1), (v0, v1)) = (functional.split_at(half), vector.split_at(half));
    let pair = |index: usize| {
        let (low, high) = (v0[index], v1[index]);
        if bool::from(low.is_zero()) && bool::from(high.is_zero()) {
            return [Fr::ZERO; 2];
        }
        [l0[index] * low, (l1[index] - l0[index]) * (high - low)]
    };
    let add = |left: [Fr; 2], right: [Fr; 2]| [left[0] + right[0], left[1] + right[1]];
    if half >= 1 << 11 {
        let pairs = (0..half).into_par_iter().with_min_len(1 << 10);
        pairs
            .fold(|| [Fr::ZERO; 2], |sum, index| add(sum, pair(index)))
            .reduce(|| [Fr::ZERO; 2], add)
    } else {
        (0..half).fold([Fr::ZERO; 2], |sum, index| add(sum, pair(index)))
    }
}

/// A table with its first variable bound, as a new one.
fn halved(table: &[Fr], at: Fr) -> Vec<Fr> {
    let (low, high) = table.split_at(table.len() / 2);
    let join = |(low, high): (&Fr, &Fr)| {
        let difference = *high - low;
        if bool::from(difference.is_zero()) {
            *low
        } else {
            *low + difference * at
        }
    };
    low.par_iter().zip(high).with_min_len(1 << 10).map(join).collect()
}
