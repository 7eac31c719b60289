//! The rounds of a sum-check (Lund, Fortnow, Karloff and Nisan, 1992), each sent without its linear coefficient.

use crate::field::{Field, Fr};
use crate::transcript::Transcript;

/// The claim that a round leaves: `h(challenge)`, where `sent` are the coefficients of `h` but for the linear one, which
/// `h(0) + h(1) = claim` fixes.
#[must_use]
pub fn after_round(claim: Fr, sent: &[Fr], challenge: Fr) -> Fr {
    let (constant, higher) = sent
        .split_first()
        .map_or((Fr::ZERO, sent), |(constant, higher)| (*constant, higher));
    let linear = claim - constant.double() - higher.iter().sum::<Fr>();
    let above = higher
        .iter()
        .rev()
        .fold(Fr::ZERO, |value, coefficient| (value + coefficient) * challenge);
    constant + challenge * (linear + above)
}

/// Follows all rounds: the last claim and the point.
pub(crate) fn follow<const SENT: usize>(
    transcript: &mut Transcript,
    claim: Fr,
    rounds: &[[Fr; SENT]],
) -> (Fr, Vec<Fr>) {
    let mut claim = claim;
    let mut point = Vec::with_capacity(rounds.len());
    for sent in rounds {
        for coefficient in sent {
            transcript.absorb_scalar(coefficient);
        }
        let challenge = transcript.challenge();
        claim = after_round(claim, sent, challenge);
        point.push(challenge);
    }
    (claim, point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linear_coefficient_follows_from_the_claim() {
        // h = 5 + 7x + 11x^2 + 13x^3: h(0) + h(1) = 5 + 36.
        let sent = [5, 11, 13].map(Fr::from);
        let at = |x: u64| Fr::from(5 + 7 * x + 11 * x * x + 13 * x * x * x);
        for challenge in [0, 1, 2, 9] {
            assert_eq!(
                after_round(Fr::from(41), &sent, Fr::from(challenge)),
                at(challenge)
            );
        }
    }
}
