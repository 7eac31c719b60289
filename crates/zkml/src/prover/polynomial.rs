//! Multilinear tables and the rounds of a sum-check over products of them.
//!
//! A table of `2^b` values is read most significant bit first: binding its first variable joins its lower and upper half.
//! A table shorter than `2^b` has zeros behind its end.

use counterweight_zkml_verifier::Fr;
use counterweight_zkml_verifier::field::Field;
use rayon::prelude::*;

/// Below this many pairs, handing work to another thread costs more than it saves.
const PARALLEL: usize = 1 << 9;

/// `scale · eq(point, i)` for every corner `i`.
pub(crate) fn scaled_eq(point: &[Fr], scale: Fr) -> Vec<Fr> {
    let mut table = Vec::with_capacity(1 << point.len());
    table.push(scale);
    for x in point {
        let filled = table.len();
        table.resize(2 * filled, Fr::ZERO);
        for index in (0..filled).rev() {
            let weight = table[index];
            let high = weight * x;
            table[2 * index + 1] = high;
            table[2 * index] = weight - high;
        }
    }
    table
}

/// Binds a table's first variable.
pub(crate) fn bind(table: &mut Vec<Fr>, at: Fr) {
    let half = table.len() / 2;
    let (low, high) = table.split_at_mut(half);
    let join = |(low, high): (&mut Fr, &Fr)| {
        let difference = *high - *low;
        if !bool::from(difference.is_zero()) {
            *low += difference * at;
        }
    };
    if half >= PARALLEL {
        low.par_iter_mut()
            .zip(&*high)
            .with_min_len(PARALLEL)
            .for_each(join);
    } else {
        low.iter_mut().zip(&*high).for_each(join);
    }
    table.truncate(half);
    // A table halves at every round: what it no longer needs goes back, or the first round's memory stays to the end.
    if half >= 1 << 12 {
        table.shrink_to_fit();
    }
}

/// The value of a table at a point.
#[cfg(test)]
pub(crate) fn evaluate(table: &[Fr], point: &[Fr]) -> Fr {
    scaled_eq(point, Fr::ONE)
        .iter()
        .zip(table)
        .map(|(weight, value)| *weight * value)
        .sum()
}

/// A sum-check instance: a function of `N` tables of equal length, of degree `DEGREE`, summed over the cube.
///
/// The function must vanish where its first table does, so that pairs where that one is zero are skipped.
pub(crate) struct Instance<const N: usize, const DEGREE: usize, F> {
    tables: [Vec<Fr>; N],
    function: F,
    claim: Fr,
    /// Rounds before the instance's own variables begin: it is constant in their variables.
    waiting: usize,
    /// The last round's values at `0..=DEGREE`, kept until the challenge that follows it.
    last: Vec<Fr>,
}

/// What the rounds of a batch need of each instance.
pub(crate) trait Rounds {
    /// Adds the coefficients of the next round, lowest first, times `weight`.
    fn add_round(&mut self, weight: Fr, coefficients: &mut [Fr]);
    /// Binds the variable of the round.
    fn bind(&mut self, at: Fr);
    /// Values of the tables, once all variables are bound.
    fn values(&self) -> Vec<Fr> {
        Vec::new()
    }
}

impl<const N: usize, const DEGREE: usize, F> Instance<N, DEGREE, F>
where
    F: Fn(&[Fr; N]) -> Fr + Sync,
{
    /// An instance whose own sum is `claim`, in a batch of `rounds` rounds. Tables hold a power of two of values.
    pub(crate) fn new(tables: [Vec<Fr>; N], claim: Fr, rounds: usize, function: F) -> Self {
        let own = tables
            .first()
            .map_or(0, |table| table.len().trailing_zeros() as usize);
        debug_assert!(tables.iter().all(|table| table.len() == tables[0].len()));
        let waiting = rounds.saturating_sub(own);
        Self {
            tables,
            function,
            claim,
            waiting,
            last: Vec::new(),
        }
    }

    /// The sums over the rest of the cube with the first variable at `1..=DEGREE`.
    fn sums(&self) -> [Fr; DEGREE] {
        let half = self.tables.first().map_or(0, Vec::len) / 2;
        let at = |index: usize| std::array::from_fn(|table| self.tables[table][index]);
        sums(half, at, &self.function)
    }
}

impl<const N: usize, const DEGREE: usize, F> Instance<N, DEGREE, F> {
    /// Adds the coefficients of the round with these sums at `1..=DEGREE`.
    fn add_sums(&mut self, sums: [Fr; DEGREE], weight: Fr, coefficients: &mut [Fr]) {
        let mut values = Vec::with_capacity(DEGREE + 1);
        values.push(self.claim - sums[0]);
        values.extend(sums);
        interpolate(&mut values);
        for (sum, coefficient) in coefficients.iter_mut().zip(&values) {
            *sum += weight * coefficient;
        }
        self.last = values;
    }
}

/// The sums of a function of `N` values over pairs of cells, `half` apart, on the lines through them at `1..=DEGREE`.
fn sums<const N: usize, const DEGREE: usize>(
    half: usize,
    values: impl Fn(usize) -> [Fr; N] + Sync,
    function: impl Fn(&[Fr; N]) -> Fr + Sync,
) -> [Fr; DEGREE] {
    let pair = |mut sums: [Fr; DEGREE], index: usize| {
        let (low, mut at) = (values(index), values(index + half));
        if bool::from(low[0].is_zero()) && bool::from(at[0].is_zero()) {
            return sums;
        }
        let step: [Fr; N] = std::array::from_fn(|table| at[table] - low[table]);
        for (place, sum) in sums.iter_mut().enumerate() {
            if place > 0 {
                at.iter_mut().zip(&step).for_each(|(value, step)| *value += step);
            }
            *sum += function(&at);
        }
        sums
    };
    let zero = || [Fr::ZERO; DEGREE];
    let add = |mut left: [Fr; DEGREE], right: [Fr; DEGREE]| {
        left.iter_mut()
            .zip(right)
            .for_each(|(left, right)| *left += right);
        left
    };
    if half >= PARALLEL {
        (0..half)
            .into_par_iter()
            .with_min_len(PARALLEL / 2)
            .fold(zero, pair)
            .reduce(zero, add)
    } else {
        (0..half).fold(zero(), pair)
    }
}

/// An instance whose tables are there from the second round on: the first computes cells as it needs them, so that what is
/// bytes is never a whole table of field elements.
pub(crate) struct Lazy<const N: usize, const DEGREE: usize, V, F> {
    values: V,
    /// Without tables until the first variable is bound.
    instance: Instance<N, DEGREE, F>,
    half: usize,
}

impl<const N: usize, const DEGREE: usize, V, F> Lazy<N, DEGREE, V, F>
where
    V: Fn(usize) -> [Fr; N] + Sync,
    F: Fn(&[Fr; N]) -> Fr + Sync,
{
    /// An instance over `rounds` variables, not fewer than one, that sums to zero.
    pub(crate) fn new(values: V, rounds: usize, function: F) -> Self {
        let instance = Instance::new([const { Vec::new() }; N], Fr::ZERO, 0, function);
        Self {
            values,
            instance,
            half: 1 << (rounds - 1),
        }
    }

    fn is_bound(&self) -> bool {
        self.instance.tables.iter().all(|table| !table.is_empty())
    }
}

impl<const N: usize, const DEGREE: usize, V, F> Rounds for Lazy<N, DEGREE, V, F>
where
    V: Fn(usize) -> [Fr; N] + Sync,
    F: Fn(&[Fr; N]) -> Fr + Sync,
{
    fn add_round(&mut self, weight: Fr, coefficients: &mut [Fr]) {
        if self.is_bound() {
            return self.instance.add_round(weight, coefficients);
        }
        let sums = sums(self.half, &self.values, &self.instance.function);
        self.instance.add_sums(sums, weight, coefficients);
    }

    fn bind(&mut self, at: Fr) {
        if self.is_bound() {
            return self.instance.bind(at);
        }
        self.instance.claim = horner(&self.instance.last, at);
        for (place, table) in self.instance.tables.iter_mut().enumerate() {
            let join = |index: usize| {
                let (low, high) = (
                    (self.values)(index)[place],
                    (self.values)(index + self.half)[place],
                );
                low + (high - low) * at
            };
            *table = (0..self.half)
                .into_par_iter()
                .with_min_len(PARALLEL)
                .map(join)
                .collect();
        }
    }

    fn values(&self) -> Vec<Fr> {
        self.instance.values()
    }
}

impl<const N: usize, const DEGREE: usize, F> Rounds for Instance<N, DEGREE, F>
where
    F: Fn(&[Fr; N]) -> Fr + Sync,
{
    fn add_round(&mut self, weight: Fr, coefficients: &mut [Fr]) {
        if let Some(left) = self.waiting.checked_sub(1) {
            // The cube has `left` more variables that do not matter.
            coefficients[0] += weight * self.claim * power_of_two(left);
            return;
        }
        let sums = self.sums();
        self.add_sums(sums, weight, coefficients);
    }

    fn bind(&mut self, at: Fr) {
        if let Some(left) = self.waiting.checked_sub(1) {
            self.waiting = left;
            return;
        }
        self.claim = horner(&self.last, at);
        for table in &mut self.tables {
            bind(table, at);
        }
    }

    fn values(&self) -> Vec<Fr> {
        self.tables
            .iter()
            .filter_map(|table| table.first().copied())
            .collect()
    }
}

/// `2^exponent`.
pub(crate) fn power_of_two(exponent: usize) -> Fr {
    (0..exponent).fold(Fr::ONE, |power, _| power.double())
}

/// The value at `x` of a polynomial, coefficients lowest first.
pub(crate) fn horner(coefficients: &[Fr], x: Fr) -> Fr {
    coefficients
        .iter()
        .rev()
        .fold(Fr::ZERO, |value, coefficient| value * x + coefficient)
}

/// Turns the values at `0, 1, …` of a polynomial into its coefficients, lowest first, by Newton's differences.
fn interpolate(values: &mut [Fr]) {
    let degree = values.len() - 1;
    for level in 1..=degree {
        let inverse = Fr::from(level as u64).invert().unwrap_or(Fr::ONE);
        for place in (level..=degree).rev() {
            values[place] = (values[place] - values[place - 1]) * inverse;
        }
    }
    // Unfolds (((v_d (x - (d-1)) + v_{d-1}) (x - (d-2)) + …: each step multiplies what is above `node` by `x - node`.
    for node in (0..degree).rev() {
        let shift = Fr::from(node as u64);
        for place in node..degree {
            let above = values[place + 1];
            values[place] -= shift * above;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scalars(count: usize) -> impl Strategy<Value = Vec<Fr>> {
        proptest::collection::vec(any::<[u64; 4]>().prop_map(Fr::from_raw), count)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn interpolation_finds_the_coefficients(coefficients in scalars(7)) {
            let mut values: Vec<Fr> = (0..7).map(|x| horner(&coefficients, Fr::from(x))).collect();
            interpolate(&mut values);
            prop_assert_eq!(values, coefficients);
        }

        /// Rounds that wait and rounds that do not lead from the sum to the value at the point.
        #[test]
        fn rounds_lead_from_the_sum_to_the_value(
            (a, b, point) in (scalars(8), scalars(8), scalars(5)),
        ) {
            let sum: Fr = a.iter().zip(&b).map(|(a, b)| *a * b).sum();
            let mut instance = Instance::<2, 2, _>::new([a.clone(), b.clone()], sum, 5, |[a, b]| *a * b);
            let mut claim = sum * Fr::from(4);
            for x in &point {
                let mut coefficients = [Fr::ZERO; 3];
                instance.add_round(Fr::ONE, &mut coefficients);
                prop_assert_eq!(claim, horner(&coefficients, Fr::ZERO) + horner(&coefficients, Fr::ONE));
                claim = horner(&coefficients, *x);
                instance.bind(*x);
            }
            prop_assert_eq!(claim, evaluate(&a, &point[2..]) * evaluate(&b, &point[2..]));
        }
    }
}
