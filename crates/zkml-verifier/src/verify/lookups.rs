//! The polynomials of the first sum-check, at its last point.

use super::Challenges;
use crate::field::{Field, Fr};
use crate::plan::{Column, Plan, SlotKind};
use crate::proof::Revealed;
use crate::table::{TABLE_BITS, TAG_BYTE, table_at, tag_high, tag_low, tags_remainder, used_eq};

/// `inverse · Π d - Σ_k Π_{j≠k} d_j`: zero where `inverse = Σ 1 / d_k`.
pub(super) fn inverse_holds(inverse: Fr, [a, b, c, d]: [Fr; 4]) -> Fr {
    let (front, back) = (a * b, c * d);
    inverse * front * back - (front * (c + d) + back * (a + b))
}

/// All constraints on slots, each on its own kind of slot: `A`.
pub(super) fn slots_at(plan: &Plan, challenges: &Challenges, revealed: &Revealed<'_>) -> Fr {
    let point = challenges.point(plan.slot_bits);
    let tau = challenges.tau(plan.slot_bits);
    let (mut requantised, mut pooled, mut input) = (Fr::ZERO, Fr::ZERO, Fr::ZERO);
    let mut tags = [Fr::ZERO; 4];
    for node in &plan.nodes {
        let Some(block) = &node.slots else { continue };
        let (place, within) = block.enter(point);
        let (tau_place, tau_within) = block.enter(tau);
        let selected = place * tau_place * node.layout.truncated_eq(tau_within, within);
        match block.kind {
            SlotKind::Requantised(requantise) => {
                requantised += selected;
                let [low, high] = tags_remainder(requantise.shift);
                let of_block = [tag_high(requantise.relu), tag_low(requantise.relu), low, high];
                for (tag, number) in tags.iter_mut().zip(of_block) {
                    *tag += place * Fr::from(number);
                }
            }
            SlotKind::Pooled => pooled += selected,
            SlotKind::Input => input += selected,
        }
    }

    let column = |column: Column| revealed.columns.get(column as usize).copied().unwrap_or_default();
    let [high, low] = [Column::High, Column::Low].map(column);
    let [remainder0, remainder1] = [Column::Remainder0, Column::Remainder1].map(column);
    let [inside, middle] = [Column::Inside, Column::Middle].map(column);
    let [saturated, value] = [Column::Saturated, Column::Value].map(column);
    let Challenges { alpha, beta, eta, .. } = *challenges;
    let [tag_high, tag_low, tag0, tag1] = tags;
    let byte = |value: Fr| alpha + Fr::from(TAG_BYTE) + beta * value;

    let looked_up = [
        alpha + tag_high + beta * (high + beta * (inside + beta * saturated)),
        alpha + tag_low + beta * (low + beta * middle),
        alpha + tag0 + beta * remainder0,
        alpha + tag1 + beta * remainder1,
    ];
    let of_requantised =
        inverse_holds(revealed.slot_inverse, looked_up) + eta * (value - inside * middle - saturated);
    let differences = [high, low, remainder0, remainder1];
    let of_pooled = inverse_holds(revealed.slot_inverse, differences.map(byte))
        + eta * differences.iter().product::<Fr>();
    let of_input = revealed.slot_inverse * byte(value + Fr::from(128)) - Fr::ONE;
    requantised * of_requantised + pooled * of_pooled + input * of_input
}

/// The constraint on the table: `B`.
pub(super) fn entries_at(challenges: &Challenges, table_inverse: Fr, multiplicity: Fr) -> Fr {
    let point = challenges.point(TABLE_BITS);
    let entry = challenges.alpha + table_at(point, challenges.beta);
    used_eq(challenges.tau(TABLE_BITS), point) * (table_inverse * entry - multiplicity)
}
