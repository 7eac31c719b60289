//! The table's side of the lookups.

use counterweight_zkml_verifier::Fr;
use counterweight_zkml_verifier::field::{Field, from_i64};
use counterweight_zkml_verifier::table::{self, TABLE_BITS, TABLE_USED};

use super::polynomial::{Instance, Rounds, scaled_eq};
use super::slots::{LookupChallenges, invert_all};

/// Inverses of the table: `multiplicity / (α + entry)` where in use, and the mask in entry 0.
///
/// `None` where a challenge makes a denominator zero.
pub(crate) fn inverses(multiplicities: &[u32], mask: Fr, challenges: LookupChallenges) -> Option<Vec<Fr>> {
    let used: Vec<usize> = (1..TABLE_USED)
        .filter(|entry| multiplicities[*entry] != 0)
        .collect();
    let mut denominators: Vec<Fr> = used
        .iter()
        .map(|entry| challenges.alpha + folded(*entry, challenges.beta))
        .collect();
    invert_all(&mut denominators)?;
    let mut inverses = vec![Fr::ZERO; 1 << TABLE_BITS];
    for (entry, inverse) in used.into_iter().zip(denominators) {
        inverses[entry] = Fr::from(u64::from(multiplicities[entry])) * inverse;
    }
    inverses[0] = mask;
    Some(inverses)
}

fn folded(entry: usize, beta: Fr) -> Fr {
    table::fold(table::entry(entry).map(from_i64), beta)
}

/// The multiplicities as field elements, with the mask in entry 0.
pub(crate) fn multiplicities(multiplicities: &[u32], mask: Fr) -> Vec<Fr> {
    let mut table: Vec<Fr> = multiplicities
        .iter()
        .map(|count| Fr::from(u64::from(*count)))
        .collect();
    table[0] = mask;
    table
}

/// The table's instance of the first sum-check, which sums to zero.
pub(crate) fn instance(
    inverses: Vec<Fr>,
    multiplicities: Vec<Fr>,
    challenges: LookupChallenges,
    tau: &[Fr],
    rounds: usize,
) -> Box<dyn Rounds + Send> {
    let LookupChallenges { alpha, beta } = challenges;
    let mut on = scaled_eq(&tau[tau.len() - TABLE_BITS..], Fr::ONE);
    on[0] = Fr::ZERO;
    on[TABLE_USED..].fill(Fr::ZERO);
    let denominators = (0..1 << TABLE_BITS)
        .map(|entry| alpha + folded(entry, beta))
        .collect();
    let tables = [on, inverses, denominators, multiplicities];
    let function =
        |[on, inverse, denominator, multiplicity]: &[Fr; 4]| *on * (*inverse * denominator - multiplicity);
    Box::new(Instance::<4, 3, _>::new(tables, Fr::ZERO, rounds, function))
}
