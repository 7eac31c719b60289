//! Wrong blocks are found, and what shows them is what the contract reads.

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde_json::{Value, json};

use super::super::{
    keys::{agree_recovered, self_seed},
    member::Member,
    roots::{shares_root, vector_root},
    sharing::combine,
};
use super::*;

/// Plays a coordinator that posted `posted` and shows what is demanded.
fn demands(right: &[i32], posted: &[i32]) -> (usize, NextStep) {
    let mut shown = BTreeMap::new();
    loop {
        match next_step(right, &shown) {
            NextStep::Demand(number) => {
                assert!(shown.insert(number, open_block(posted, number)).is_none());
            }
            step => return (shown.len(), step),
        }
    }
}

proptest! {
    /// A wrong word is found, and with few demands.
    #[test]
    fn a_wrong_block_is_found_with_about_the_logarithm_of_demands(
        length in 1_usize..2_000, wrong in proptest::collection::vec(any::<usize>(), 1..4),
    ) {
        let right: Vec<i32> = (0..length as i32).collect();
        let mut posted = right.clone();
        for at in wrong {
            posted[at % length] ^= 0x40;
        }
        prop_assume!(posted != right);
        let (count, step) = demands(&right, &posted);
        let NextStep::Refute { number, posted: block } = step else {
            panic!("{step:?}");
        };
        prop_assert_eq!(block, open_block(&posted, number));
        let range = number as usize * 16..length.min(number as usize * 16 + 16);
        prop_assert!(posted[range.clone()] != right[range]);
        let blocks = length.div_ceil(16);
        prop_assert!(count <= blocks.ilog2() as usize + 2, "{count} of {blocks}");
    }
}

#[test]
fn what_fills_up_the_last_block_refutes_nothing() {
    let right = vec![7; 37];
    let mut longer = right.clone();
    longer.push(1);
    assert_eq!(demands(&right, &longer).1, NextStep::Nothing);
}

/// The vectors that the contract's tests read: a group of five in which place 1 dealt and dropped out, and a sum with one
/// wrong word. `CW_WRITE_FIXTURES=1` writes them anew.
#[test]
fn the_shared_vectors_hold() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/masked-sum-v1.json");
    let text = format!("{}\n", serde_json::to_string_pretty(&vectors()).unwrap());
    if std::env::var_os("CW_WRITE_FIXTURES").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap() == text,
        "testdata/masked-sum-v1.json is of other code"
    );
}

fn vectors() -> Value {
    let group = Group {
        context: [7; 32],
        size: 5,
        degree: 4,
        threshold: 3,
        fewest_survivors: 3,
        coordinates: 37,
    };
    let mut random = ChaCha20Rng::seed_from_u64(6);
    let mut members: Vec<_> = group
        .places()
        .map(|place| Member::new(&group, place, &mut random).unwrap())
        .collect();
    let announced: Vec<_> = members.iter().map(Member::announcement).collect();
    let dealings: Vec<_> = members
        .iter_mut()
        .map(|member| member.share(&announced, &mut random).unwrap())
        .collect();
    let survivors: BTreeSet<Place> = [0, 2, 3, 4].map(Place).into();
    let vector = |place: Place| {
        (0..37)
            .map(|at| at * 1_000_003 - i32::from(place.0))
            .collect::<Vec<i32>>()
    };
    let masked: BTreeMap<Place, Vec<u32>> = survivors
        .iter()
        .map(|place| {
            (
                *place,
                members[usize::from(place.0)]
                    .mask(&vector(*place), &dealings)
                    .unwrap(),
            )
        })
        .collect();
    let unmaskings: Vec<_> = survivors
        .iter()
        .map(|place| members[usize::from(place.0)].unmask(&survivors).unwrap())
        .collect();
    let mut posted = recover(&group, &announced, &dealings, &masked, &unmaskings).unwrap();
    let right = vector_root(&bits(&posted));
    posted[36] ^= 0x100;
    let refutation = refute(&group, &announced, &dealings, &masked, &unmaskings, &posted)
        .unwrap()
        .unwrap();

    let secret_of = |place: u16, kind| {
        let shares = right_shares(&group, &dealings[usize::from(place)], kind, &unmaskings).unwrap();
        combine(&shares.into_values().take(3).collect::<Vec<_>>())
    };
    let mut seeds = Vec::new();
    for place in &survivors {
        let own = self_seed(&group, &secret_of(place.0, Kind::Seed), *place);
        seeds.push(json!({"low": place.0, "high": place.0, "seed": hex(&*own)}));
        let with = &announced[usize::from(place.0)].key;
        let pair = agree_recovered(&secret_of(1, Kind::Key), with).unwrap();
        let seed = pair.mask_seed(&group, Place(1), *place);
        seeds.push(json!({"low": place.0.min(1), "high": place.0.max(1), "seed": hex(&*seed)}));
    }
    let seats: Vec<Value> = group
        .places()
        .map(|place| {
            let at = usize::from(place.0);
            let root = masked
                .get(&place)
                .map_or(Sha256Digest([0; 32]), |words| vector_root(words));
            json!({
                "key": hex(&announced[at].key.0),
                "digestsRoot": hex(&shares_root(place, &dealings[at].sharing).0),
                "uploadRoot": hex(&root.0),
            })
        })
        .collect();
    json!({
        "context": hex(&group.context),
        "coordinates": 37,
        "thresholdPercent": 51,
        "survivors": 0b11101,
        "seats": seats,
        "rightSum": hex(&right.0),
        "sum": hex(&vector_root(&bits(&posted)).0),
        "seeds": seeds,
        "openSeeds": refutation.seeds.iter().map(secret).collect::<Vec<_>>(),
        "openKeys": refutation.keys.iter().map(secret).collect::<Vec<_>>(),
        "number": refutation.number,
        "posted": part(&refutation.posted),
        "masked": refutation.masked.iter().map(part).collect::<Vec<_>>(),
    })
}

fn secret(opened: &OpenedSecret) -> Value {
    let share = |share: &OpenedShare| {
        json!({
            "place": share.place.0,
            "share": hex(&share.share),
            "others": hex(share.others.as_flattened()),
            "path": hashes(&share.path),
        })
    };
    json!({
        "place": opened.dealer.0,
        "points": hex(opened.points.as_flattened()),
        "path": hashes(&opened.path),
        "shares": opened.shares.iter().map(share).collect::<Vec<_>>(),
    })
}

fn part(block: &OpenedBlock) -> Value {
    json!({"words": hex(&block.words), "path": hashes(&block.path)})
}

fn hashes(path: &[Sha256Digest]) -> String {
    hex(path.iter().map(|hash| hash.0).collect::<Vec<_>>().as_flattened())
}

fn hex(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}
