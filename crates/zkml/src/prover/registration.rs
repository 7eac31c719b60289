//! Registration, once for a model: every weight is int8. `docs/spec/zkml.md`, section 7.

use std::collections::BTreeMap;

use counterweight_zkml_verifier::Fr;
use counterweight_zkml_verifier::field::{Field, from_i64};
use counterweight_zkml_verifier::opening::Scheme;
use counterweight_zkml_verifier::plan::{REGISTRATION_MASKS, mask_coefficients};
use counterweight_zkml_verifier::table::{self, TABLE_BITS, TABLE_USED, TAG_BYTE};
use counterweight_zkml_verifier::verify::RegistrationPlan;
use rand_core::RngCore;
use rayon::prelude::*;

use super::layers::fold_rows;
use super::masks::{RoundMask, sum_functional, value_functional};
use super::polynomial::{Instance, Lazy, scaled_eq};
use super::rows::{Reduction, RowMasks, Rows, Term};
use super::slots::{LookupChallenges, byte_lookups_at, invert_all};
use super::{Batch, commit_large, dot, lookup, place, suffix};
use crate::conversation::Conversation;
use crate::error::ProveError;
use crate::prover::claims::Weights;
use crate::random;
use crate::srs::Srs;
use crate::witness::{Committed, PackedWeights, commit_mixed};

/// Weights in a slot.
const LANES: usize = REGISTRATION_MASKS;

/// What a registration is made of. The mask cells of the weights are spent by it.
pub(crate) struct Registration<'a> {
    pub(crate) srs: &'a Srs,
    pub(crate) scheme: Scheme,
    pub(crate) plan: &'a RegistrationPlan,
    pub(crate) weights: &'a PackedWeights,
    pub(crate) blindings: &'a [Fr],
}

impl Registration<'_> {
    /// The values of each cell of the cube: whether it counts, its inverse, its four weights and 128.
    fn cells<'b>(&'b self, tau: &[Fr], inverses: &'b [Fr]) -> impl Fn(usize) -> [Fr; 2 + LANES] + Sync + 'b {
        let plan = self.plan;
        let low_bits = plan.slot_bits / 2;
        let (high, low) = tau.split_at(plan.slot_bits - low_bits);
        let (high, low) = (scaled_eq(high, Fr::ONE), scaled_eq(low, Fr::ONE));
        let bytes: Vec<Fr> = (0..256_u64).map(Fr::from).collect();
        let mut large: BTreeMap<usize, [Fr; LANES]> = BTreeMap::new();
        for (cell, value) in self.weights.large() {
            large.entry(cell / LANES).or_default()[cell % LANES] += value;
        }
        move |slot| {
            let mut values = [Fr::ZERO; 2 + LANES];
            // Slots behind the last hold zeros, which are weights too.
            values[2..].fill(bytes[128]);
            let Some(weights) = self.weights.cells.get(LANES * slot..LANES * (slot + 1)) else {
                return values;
            };
            if slot < plan.active() {
                values[0] = high[slot >> low_bits] * low[slot & ((1 << low_bits) - 1)];
            }
            values[1] = inverses[slot];
            for (value, weight) in values[2..].iter_mut().zip(weights) {
                *value = bytes[usize::from((*weight as u8) ^ 0x80)];
            }
            if let Some(large) = large.get(&slot) {
                values[2..]
                    .iter_mut()
                    .zip(large)
                    .for_each(|(value, large)| *value += large);
            }
            values
        }
    }

    /// How often each byte is looked up.
    fn multiplicities(&self) -> Vec<u32> {
        let mut counts = vec![0_u32; 1 << TABLE_BITS];
        let active = &self.weights.cells[..LANES * self.plan.active()];
        for weight in active {
            counts[table::index_below(8, (*weight as u8) ^ 0x80)] += 1;
        }
        counts
    }

    /// The sum of each active slot's fractions, and a mask; whole rows.
    fn inverses(&self, mask: Fr, LookupChallenges { alpha, beta }: LookupChallenges) -> Option<Vec<Fr>> {
        // A weight takes 256 values: their inverses are all there is to invert.
        let mut of_value: Vec<Fr> = (i8::MIN..=i8::MAX)
            .map(|value| alpha + Fr::from(TAG_BYTE) + beta * from_i64(i64::from(value) + 128))
            .collect();
        invert_all(&mut of_value)?;
        let mut inverses = vec![Fr::ZERO; self.plan.inverse_rows << self.plan.row_bits];
        let slots = self
            .weights
            .cells
            .par_chunks_exact(LANES)
            .take(self.plan.active());
        inverses.par_iter_mut().zip(slots).for_each(|(inverse, weights)| {
            *inverse = weights
                .iter()
                .map(|weight| of_value[(i16::from(*weight) + 128) as usize])
                .sum();
        });
        for (cell, value) in self.weights.large() {
            // What a lying prover put there: its own fraction in place of that of the byte.
            let honest = i64::from(self.weights.cells[cell]) + 128;
            let mut fraction = [alpha + Fr::from(TAG_BYTE) + beta * (value + from_i64(honest))];
            invert_all(&mut fraction)?;
            let byte = of_value[(i16::from(self.weights.cells[cell]) + 128) as usize];
            inverses[cell / LANES] += fraction[0] - byte;
        }
        inverses[self.plan.mask_slot()] = mask;
        Some(inverses)
    }

    /// Follows the protocol on from the statement.
    pub(crate) fn prove(
        &self,
        conversation: &mut Conversation,
        rng: &mut impl RngCore,
    ) -> Result<(), ProveError> {
        let Self { srs, plan, .. } = *self;
        let row_length = 1_usize << plan.row_bits;
        let mut row_masks = RowMasks::draw(srs, rng);
        let first_blindings = random::scalars(rng, plan.first.rows);
        let second_blindings = random::scalars(rng, plan.inverse_rows + 1);
        let segment = random::scalars(rng, mask_coefficients(plan.rounds));
        let (count_mask, slot_mask, table_mask) =
            (random::scalar(rng), random::scalar(rng), random::scalar(rng));

        let counts = self.multiplicities();
        let multiplicities = lookup::multiplicities(&counts, count_mask);
        let mut first = vec![Fr::ZERO; plan.first.rows << plan.row_bits];
        place(&mut first, &plan.first, 0, &multiplicities);
        place(&mut first, &plan.first, 1, &segment);
        let first_committed = self.commit_first(&counts, count_mask, &segment, first_blindings);
        first_committed
            .points
            .iter()
            .for_each(|point| conversation.point(point));
        row_masks.commit(srs, conversation);

        let challenges = LookupChallenges {
            alpha: conversation.challenge(),
            beta: conversation.challenge(),
        };
        let degenerate = ProveError::DegenerateChallenge;
        let inverses = self.inverses(slot_mask, challenges).ok_or(degenerate)?;
        let table_inverses =
            lookup::inverses(&counts, table_mask, challenges).ok_or(ProveError::DegenerateChallenge)?;
        let mut second = inverses;
        second.extend(&table_inverses);
        second.resize((plan.inverse_rows + 1) << plan.row_bits, Fr::ZERO);
        let second_committed = commit_large(srs, plan.row_bits, &second, second_blindings);
        second_committed
            .points
            .iter()
            .for_each(|point| conversation.point(point));

        let tau = conversation.challenges(plan.rounds);
        // The second weighs what registrations do not have; it is drawn all the same, so that both kinds draw alike.
        let (lambda, _) = (conversation.challenge(), conversation.challenge());
        let mut batch = Batch::new(plan.rounds);
        let cells = self.cells(suffix(&tau, plan.slot_bits), &second);
        let function = byte_lookups_at(challenges, None);
        if plan.slot_bits == plan.rounds {
            let instance = Lazy::<6, 6, _, _>::new(cells, plan.rounds, function);
            batch.push(Fr::ONE, Fr::ZERO, Box::new(instance));
        } else {
            let tables = std::array::from_fn(|table| {
                (0..1 << plan.slot_bits).map(|slot| cells(slot)[table]).collect()
            });
            let instance = Instance::<6, 6, _>::new(tables, Fr::ZERO, plan.rounds, function);
            batch.push(Fr::ONE, Fr::ZERO, Box::new(instance));
        }
        let instance = lookup::instance(
            table_inverses.clone(),
            multiplicities.clone(),
            challenges,
            &tau,
            plan.rounds,
        );
        batch.push(lambda, Fr::ZERO, instance);
        let mask = RoundMask::new(&segment, plan.rounds);
        batch.push(Fr::ONE, mask.sum(), Box::new(mask));
        let (point, values) = batch.run(conversation);
        let [_, slot_inverse, lanes @ ..] = values[0].as_slice() else {
            return Err(ProveError::DegenerateChallenge);
        };
        for lane in lanes {
            conversation.scalar(&(*lane - Fr::from(128)));
        }
        conversation.scalar(slot_inverse);
        let at_table = scaled_eq(suffix(&point, TABLE_BITS), Fr::ONE);
        conversation.scalar(&dot(&at_table, &table_inverses));
        conversation.scalar(&dot(&at_table, &multiplicities));

        let blindings = |kind: Rows, row: usize| match kind {
            Rows::Weights => self.blindings[row],
            Rows::First => first_committed.blindings[row],
            Rows::Second => second_committed.blindings[row],
            Rows::Input | Rows::RoundMasks => Fr::ZERO,
        };
        let reduction = Reduction {
            srs,
            scheme: self.scheme,
            masks: row_masks,
            blindings: &blindings,
        };
        let mut terms = reduction.mask_terms(conversation);
        let mut gamma = Weights::new(conversation.challenge());
        let (sum, last, balance) = (gamma.next(), gamma.next(), gamma.next());
        let lane_weights: [Fr; LANES] = std::array::from_fn(|_| gamma.next());
        let (of_slots, of_table, of_counts) = (gamma.next(), gamma.next(), gamma.next());

        let mut of_first = vec![Fr::ZERO; first.len()];
        if let [counts, masks] = plan.first.segments.as_slice() {
            for (place, weight) in of_first[counts.offset..].iter_mut().zip(&at_table) {
                *place += of_counts * weight;
            }
            let pairs = sum_functional(plan.rounds)
                .into_iter()
                .zip(value_functional(&point));
            for (place, (of_sum, of_value)) in of_first[masks.offset..].iter_mut().zip(pairs) {
                *place += sum * of_sum + last * of_value;
            }
        }
        terms.extend(Term::of_rows(Rows::First, plan.row_bits, &of_first, &first));

        // Each row's functional is a multiple of one: eq of the row's number times eq within.
        let slot_point = suffix(&point, plan.slot_bits);
        let lane_bits = LANES.trailing_zeros() as usize;
        let (row_point, within) = slot_point.split_at(slot_point.len() - (plan.row_bits - lane_bits));
        let row_weights = scaled_eq(row_point, Fr::ONE);
        let rows: Vec<(usize, Fr)> = (0..plan.weight_rows).map(|row| (row, row_weights[row])).collect();
        let functional = scaled_eq(within, Fr::ONE)
            .iter()
            .flat_map(|weight| lane_weights.map(|lane| *weight * lane))
            .collect();
        let vector = fold_rows(self.weights, &rows, plan.row_bits);
        terms.push(Term {
            functional,
            vector,
            kind: Rows::Weights,
            rows,
        });

        self.inverse_terms(slot_point, &second, (of_slots, balance), &mut terms);
        let mut functional: Vec<Fr> = at_table.iter().map(|weight| of_table * weight).collect();
        functional[1..TABLE_USED]
            .iter_mut()
            .for_each(|place| *place -= balance);
        functional.resize(row_length, Fr::ZERO);
        let table_row = second[plan.inverse_rows << plan.row_bits..].to_vec();
        terms.push(Term::single(
            Rows::Second,
            plan.inverse_rows,
            functional,
            table_row,
        ));
        reduction.finish(conversation, terms, &mut |_| {}, &mut |_| {})
    }

    fn commit_first(&self, counts: &[u32], count_mask: Fr, segment: &[Fr], blindings: Vec<Fr>) -> Committed {
        let length = 1_usize << self.plan.row_bits;
        let mut small = vec![0_i64; self.plan.first.rows * length];
        let mut large = Vec::new();
        if let [multiplicities, masks] = self.plan.first.segments.as_slice() {
            for (place, count) in small[multiplicities.offset..].iter_mut().zip(counts) {
                *place = i64::from(*count);
            }
            large.push((multiplicities.offset, count_mask));
            large.extend(
                segment
                    .iter()
                    .enumerate()
                    .map(|(cell, mask)| (masks.offset + cell, *mask)),
            );
        }
        let rows = small
            .chunks(length)
            .zip(&blindings)
            .enumerate()
            .map(|(row, (cells, blinding))| {
                let own = large.iter().filter(|(cell, _)| cell / length == row);
                let large: Vec<(usize, Fr)> = own.map(|(cell, value)| (cell % length, *value)).collect();
                commit_mixed(self.srs, cells, &large, blinding)
            });
        let points = rows.collect();
        Committed { blindings, points }
    }

    /// Terms of the slots' inverses: their value at the point, and their sum over the active slots. Rows that are active to the
    /// end join into two terms; the last is its own.
    fn inverse_terms(
        &self,
        slot_point: &[Fr],
        second: &[Fr],
        (value, balance): (Fr, Fr),
        terms: &mut Vec<Term>,
    ) {
        let plan = self.plan;
        let length = 1_usize << plan.row_bits;
        if plan.slot_bits <= plan.row_bits {
            let mut functional = scaled_eq(slot_point, value);
            functional[..plan.active()]
                .iter_mut()
                .for_each(|place| *place += balance);
            functional.resize(length, Fr::ZERO);
            terms.push(Term::single(
                Rows::Second,
                0,
                functional,
                second[..length].to_vec(),
            ));
            return;
        }
        let (row_point, within) = slot_point.split_at(slot_point.len() - plan.row_bits);
        let row_weights = scaled_eq(row_point, Fr::ONE);
        let whole = plan.active() / length;
        let combine = |rows: &[(usize, Fr)]| {
            let mut sum = vec![Fr::ZERO; length];
            sum.par_iter_mut()
                .enumerate()
                .with_min_len(1 << 10)
                .for_each(|(index, sum)| {
                    *sum = rows
                        .iter()
                        .map(|(row, factor)| *factor * second[row * length + index])
                        .sum();
                });
            sum
        };
        let valued: Vec<(usize, Fr)> = (0..plan.inverse_rows)
            .map(|row| (row, row_weights[row]))
            .collect();
        let vector = combine(&valued);
        terms.push(Term {
            functional: scaled_eq(within, value),
            vector,
            kind: Rows::Second,
            rows: valued,
        });
        if whole > 0 {
            let rows: Vec<(usize, Fr)> = (0..whole).map(|row| (row, Fr::ONE)).collect();
            let vector = combine(&rows);
            terms.push(Term {
                functional: vec![balance; length],
                vector,
                kind: Rows::Second,
                rows,
            });
        }
        let rest = plan.active() - whole * length;
        if rest > 0 {
            let mut functional = vec![Fr::ZERO; length];
            functional[..rest].fill(balance);
            let row = second[whole * length..][..length].to_vec();
            terms.push(Term::single(Rows::Second, whole, functional, row));
        }
    }
}
