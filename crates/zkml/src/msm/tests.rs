use std::sync::LazyLock;

use counterweight_zkml_verifier::curve::{Curve as _, PrimeCurveAffine as _};
use counterweight_zkml_verifier::field::{Field as _, from_i64};
use halo2curves::msm::msm_serial;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::*;
use crate::random;

fn points(count: usize) -> Vec<G1Affine> {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    (0..count)
        .map(|_| (G1Affine::generator() * random::scalar(&mut rng)).to_affine())
        .collect()
}

/// The table of [`points`], made once.
static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(&points(300)));

fn plain(scalars: &[Fr], points: &[G1Affine]) -> G1 {
    let mut sum = G1::identity();
    msm_serial(scalars, &points[..scalars.len()], &mut sum);
    sum
}

#[test]
fn sums_of_every_length_match_the_plain_ones() {
    for total in [16, 300] {
        let points = points(total);
        let table = Table::new(&points);
        let mut rng = ChaCha20Rng::seed_from_u64(total as u64);
        for length in [0, 1, 2, 3, 15, 16, 100, 299, 300]
            .into_iter()
            .filter(|length| *length <= total)
        {
            let mut scalars = random::scalars(&mut rng, length);
            for (scalar, special) in scalars
                .iter_mut()
                .zip([-Fr::ONE, Fr::ZERO, Fr::ONE, -Fr::from(8192)])
            {
                *scalar = special;
            }
            assert_eq!(
                large(&table, &scalars),
                plain(&scalars, &points),
                "{length} of {total}"
            );
        }
    }
}

#[test]
fn equal_opposite_and_infinite_points_are_added_right() {
    let point = points(1)[0];
    let mut points = vec![point; 20];
    points[3] = -point;
    points[5] = G1Affine::identity();
    points.extend([-point; 12]);
    let table = Table::new(&points);
    let ones = vec![Fr::ONE; 32];
    assert_eq!(large(&table, &ones), plain(&ones, &points));
    assert_eq!(small(&table, &[1; 32]), plain(&ones, &points));
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let scalars = random::scalars(&mut rng, 32);
    assert_eq!(large(&table, &scalars), plain(&scalars, &points));
}

#[test]
fn multiples_of_one_point_are_products() {
    let point = points(1)[0];
    let mut scalars = random::scalars(&mut ChaCha20Rng::seed_from_u64(3), 20);
    scalars.extend([Fr::ZERO, Fr::ONE, -Fr::ONE, Fr::from(256)]);
    let products: Vec<G1Affine> = scalars
        .iter()
        .map(|scalar| (point * scalar).to_affine())
        .collect();
    assert_eq!(multiples(&point, &scalars), products);
}

#[test]
fn a_table_too_large_for_memory_has_fewer_columns() {
    assert_eq!(table::columns(table::spacing(1 << 13)), 19);
    assert_eq!(table::columns(table::spacing(1 << 17)), 8);
    assert_eq!(table::columns(table::spacing(1 << 20)), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn small_numbers_are_summed_as_scalars(
        bits in 1..33_u32,
        numbers in proptest::collection::vec(any::<i64>(), 0..300),
        sparse in any::<bool>(),
    ) {
        let table = &*TABLE;
        let points = &table.points()[..300];
        let numbers: Vec<i64> = numbers
            .iter()
            .map(|number| if sparse && number % 3 != 0 { 0 } else { number % (1 << bits) })
            .collect();
        let scalars: Vec<Fr> = numbers.iter().map(|number| from_i64(*number)).collect();
        prop_assert_eq!(small(table, &numbers), plain(&scalars, points));
        prop_assert_eq!(large(table, &scalars), plain(&scalars, points));
    }

    #[test]
    fn weights_by_rows_and_columns_are_the_plain_ones(count in 1..300_usize) {
        let points = &TABLE.points()[..count];
        prop_assert_eq!(weighted_sum(points), plain_weighted_sum(points, 1));
    }
}
