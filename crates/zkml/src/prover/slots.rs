//! The constraints of the slots: each slot's lookups and how its value follows from them.

use counterweight_zkml_verifier::Fr;
use counterweight_zkml_verifier::field::{Field, from_i64};
use counterweight_zkml_verifier::plan::{COLUMNS, Column, Plan, SlotKind};
use counterweight_zkml_verifier::table::{self, TAG_BYTE};

use super::polynomial::{Instance, Rounds, scaled_eq};
use crate::witness::Witness;

/// The challenges of the lookups.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LookupChallenges {
    /// Where the fractions are taken.
    pub(crate) alpha: Fr,
    /// What folds a tuple.
    pub(crate) beta: Fr,
}

/// Columns of the slots as field elements, masks included.
pub(crate) struct SlotTables {
    columns: [Vec<Fr>; COLUMNS],
    /// Slots of requantised values, of pooled values, of private inputs.
    active: [Vec<usize>; 3],
    /// Folded lookups of requantised slots; of any other slot, what the extension says there.
    folded: [Vec<Fr>; 4],
    /// The sum of the fractions of each active slot, and the mask.
    pub(crate) inverses: Vec<Fr>,
}

/// Multiples of a scalar by what a column can hold.
struct Multiples {
    scale: Fr,
    table: Vec<Fr>,
}

impl Multiples {
    const LEAST: i64 = -256;

    fn new(scale: Fr) -> Self {
        let mut multiple = scale * from_i64(Self::LEAST);
        let table = (0..512)
            .map(|_| {
                let entry = multiple;
                multiple += scale;
                entry
            })
            .collect();
        Self { scale, table }
    }

    fn of(&self, value: i16) -> Fr {
        let value = i64::from(value);
        let entry = usize::try_from(value - Self::LEAST)
            .ok()
            .and_then(|index| self.table.get(index));
        entry.copied().unwrap_or_else(|| self.scale * from_i64(value))
    }
}

impl SlotTables {
    /// Folds the lookups of every slot and inverts them; `None` where a challenge makes a denominator zero.
    pub(crate) fn new(plan: &Plan, witness: &Witness, challenges: LookupChallenges) -> Option<Self> {
        let LookupChallenges { alpha, beta } = challenges;
        let slots = 1_usize << plan.slot_bits;
        let mask_slot = plan.mask_slot();
        let ones = Multiples::new(Fr::ONE);
        let columns: [Vec<Fr>; COLUMNS] = std::array::from_fn(|column| {
            let mut table: Vec<Fr> = witness
                .column(plan, column)
                .iter()
                .map(|value| ones.of(*value))
                .collect();
            table[mask_slot] = witness.masks.columns[column];
            table
        });

        let mut active: [Vec<usize>; 3] = Default::default();
        let mut tags = [const { Vec::new() }; 4];
        tags.iter_mut().for_each(|tags| *tags = vec![alpha; slots]);
        for node in &plan.nodes {
            let Some(block) = &node.slots else { continue };
            let cells = node.layout.cells().map(|cell| block.offset + cell);
            match block.kind {
                SlotKind::Pooled => active[1].extend(cells),
                SlotKind::Input => active[2].extend(cells),
                SlotKind::Requantised(rule) => {
                    active[0].extend(cells);
                    let [rest0, rest1] = table::tags_remainder(rule.shift);
                    let of_block = [
                        table::tag_high(rule.relu),
                        table::tag_low(rule.relu),
                        rest0,
                        rest1,
                    ];
                    for (tags, tag) in tags.iter_mut().zip(of_block) {
                        let tag = alpha + Fr::from(tag);
                        // A step function over the whole block, padding included.
                        tags[block.offset..block.offset + (1 << block.bits)].fill(tag);
                    }
                }
            }
        }
        let mut folded = tags;
        let powers = [beta, beta.square(), beta.square() * beta];
        let lookups: [&[(Column, usize)]; 4] = [
            &[(Column::High, 0), (Column::Inside, 1), (Column::Saturated, 2)],
            &[(Column::Low, 0), (Column::Middle, 1)],
            &[(Column::Remainder0, 0)],
            &[(Column::Remainder1, 0)],
        ];
        let multiples = powers.map(Multiples::new);
        for (folded, lookup) in folded.iter_mut().zip(lookups) {
            for (column, power) in lookup {
                let column = *column as usize;
                for (entry, value) in folded.iter_mut().zip(witness.column(plan, column)) {
                    if *value != 0 {
                        *entry += multiples[*power].of(*value);
                    }
                }
                folded[mask_slot] += powers[*power] * witness.masks.columns[column];
            }
        }
        let mut tables = Self {
            columns,
            active,
            folded,
            inverses: vec![Fr::ZERO; slots],
        };
        tables.invert(challenges)?;
        tables.inverses[mask_slot] = witness.masks.slot_inverse;
        Some(tables)
    }

    fn invert(&mut self, LookupChallenges { alpha, beta }: LookupChallenges) -> Option<()> {
        let byte = alpha + Fr::from(TAG_BYTE);
        let [requantised, pooled, inputs] = &self.active;
        let four = |[a, b, c, d]: [Fr; 4]| {
            let (low, high) = (a * b, c * d);
            ((a + b) * high + (c + d) * low, low * high)
        };
        let fractions = requantised
            .iter()
            .map(|slot| (*slot, four(std::array::from_fn(|k| self.folded[k][*slot]))))
            .chain(pooled.iter().map(|slot| {
                (
                    *slot,
                    four(std::array::from_fn(|k| byte + beta * self.columns[k][*slot])),
                )
            }))
            .chain(inputs.iter().map(|slot| {
                let value = self.columns[Column::Value as usize][*slot] + Fr::from(128);
                (*slot, (Fr::ONE, byte + beta * value))
            }));
        let (slots, (numerators, mut denominators)): (Vec<_>, (Vec<_>, Vec<_>)) = fractions.unzip();
        invert_all(&mut denominators)?;
        for ((slot, numerator), inverse) in slots.into_iter().zip(numerators).zip(denominators) {
            self.inverses[slot] = numerator * inverse;
        }
        Some(())
    }

    /// A column, masks included.
    pub(crate) fn column(&self, column: usize) -> &[Fr] {
        &self.columns[column]
    }

    /// All active slots.
    pub(crate) fn active(&self) -> impl Iterator<Item = usize> + '_ {
        self.active.iter().flatten().copied()
    }

    /// The instances of the first sum-check: requantised, pooled, inputs, as far as there are any. Each sums to zero.
    pub(crate) fn instances(
        &self,
        plan: &Plan,
        challenges: LookupChallenges,
        tau: &[Fr],
        eta: Fr,
    ) -> Vec<Box<dyn Rounds + Send>> {
        let weights = scaled_eq(&tau[tau.len() - plan.slot_bits..], Fr::ONE);
        let on = |slots: &[usize]| {
            let mut table = vec![Fr::ZERO; weights.len()];
            slots.iter().for_each(|slot| table[*slot] = weights[*slot]);
            table
        };
        let [requantised, pooled, inputs] = &self.active;
        let mut instances: Vec<Box<dyn Rounds + Send>> = Vec::new();
        if !requantised.is_empty() {
            let column = |column: Column| self.columns[column as usize].clone();
            let mut scaled_inside = column(Column::Inside);
            scaled_inside.iter_mut().for_each(|value| *value *= eta);
            let linear = self.columns[Column::Value as usize]
                .iter()
                .zip(&self.columns[Column::Saturated as usize])
                .map(|(value, saturated)| eta * (*value - saturated))
                .collect();
            let [d0, d1, d2, d3] = self.folded.clone();
            let tables = [
                on(requantised),
                self.inverses.clone(),
                d0,
                d1,
                d2,
                d3,
                scaled_inside,
                column(Column::Middle),
                linear,
            ];
            instances.push(Box::new(Instance::<9, 6, _>::new(
                tables,
                Fr::ZERO,
                plan.rounds,
                requantised_at,
            )));
        }
        if !pooled.is_empty() {
            let [c0, c1, c2, c3] = std::array::from_fn(|k| self.columns[k].clone());
            let tables = [on(pooled), self.inverses.clone(), c0, c1, c2, c3];
            let function = byte_lookups_at(challenges, Some(eta));
            instances.push(Box::new(Instance::<6, 6, _>::new(
                tables,
                Fr::ZERO,
                plan.rounds,
                function,
            )));
        }
        if !inputs.is_empty() {
            let byte = challenges.alpha + Fr::from(TAG_BYTE) + challenges.beta * Fr::from(128);
            let beta = challenges.beta;
            let tables = [
                on(inputs),
                self.inverses.clone(),
                self.columns[Column::Value as usize].clone(),
            ];
            let function =
                move |[on, inverse, value]: &[Fr; 3]| *on * (*inverse * (byte + beta * value) - Fr::ONE);
            instances.push(Box::new(Instance::<3, 3, _>::new(
                tables,
                Fr::ZERO,
                plan.rounds,
                function,
            )));
        }
        instances
    }
}

/// `on · (φ d0 d1 d2 d3 - Σ products of three + η (a - σ m - sat))`; the last columns come with `η` in them.
fn requantised_at([on, inverse, d0, d1, d2, d3, inside, middle, linear]: &[Fr; 9]) -> Fr {
    let (low, high) = (*d0 * d1, *d2 * d3);
    let threes = (*d0 + d1) * high + (*d2 + d3) * low;
    *on * (*inverse * (low * high) - threes + linear - *inside * middle)
}

/// `on · (φ p0 p1 p2 p3 - Σ products of three + η c0 c1 c2 c3)`: four bytes are looked up, and with `eta` one of them is zero.
pub(crate) fn byte_lookups_at(
    challenges: LookupChallenges,
    eta: Option<Fr>,
) -> impl Fn(&[Fr; 6]) -> Fr + Sync + Send {
    let LookupChallenges { alpha, beta } = challenges;
    let byte = alpha + Fr::from(TAG_BYTE);
    let fold = move |value: &Fr| byte + beta * value;
    move |[on, inverse, c0, c1, c2, c3]: &[Fr; 6]| {
        let (p0, p1, p2, p3) = (fold(c0), fold(c1), fold(c2), fold(c3));
        let (low, high) = (p0 * p1, p2 * p3);
        let threes = (p0 + p1) * high + (p2 + p3) * low;
        let product = eta.map_or(Fr::ZERO, |eta| eta * (*c0 * c1) * (*c2 * c3));
        *on * (*inverse * (low * high) - threes + product)
    }
}

/// Inverts every value, with one inversion; `None` if one is zero.
pub(crate) fn invert_all(values: &mut [Fr]) -> Option<()> {
    let mut product = Fr::ONE;
    let before: Vec<Fr> = values
        .iter()
        .map(|value| {
            let before = product;
            product *= value;
            before
        })
        .collect();
    let mut inverse = Option::<Fr>::from(product.invert())?;
    for (value, before) in values.iter_mut().zip(before).rev() {
        let own = inverse * before;
        inverse *= *value;
        *value = own;
    }
    Some(())
}
