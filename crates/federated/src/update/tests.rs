use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::architecture::Architecture;

fn rules(coordinates: usize, clip: f64) -> UpdateRules {
    UpdateRules {
        study: StudyId(7),
        round: Round(3),
        base: ContentDigest::of(b"base"),
        coordinates,
        clip,
        most_examples: 1000,
    }
}

fn valid() -> Update {
    Update {
        study: StudyId(7),
        round: Round(3),
        member: MemberIndex(2),
        base: ContentDigest::of(b"base"),
        examples: 10,
        coordinates: vec![1, -2, 3 << FRACTION_BITS],
    }
}

fn trained(values: Vec<f32>) -> (Parameters, Parameters) {
    let shape = Architecture::logistic(u32::try_from(values.len() - 1).unwrap());
    let base = Parameters::new(shape.clone(), vec![0.0; values.len()]).unwrap();
    (base, Parameters::new(shape, values).unwrap())
}

proptest! {
    #[test]
    fn what_is_written_reads_back(study: u64, round: u32, member: u8, examples: u32, coordinates in proptest::collection::vec(any::<i32>(), 0..20)) {
        let update = Update {
            study: StudyId(study),
            round: Round(round),
            member: MemberIndex(member),
            base: ContentDigest::of(b"x"),
            examples,
            coordinates,
        };
        prop_assert_eq!(Update::decode(&update.encode(), 20), Ok(update));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Update::decode(&bytes, 50);
    }

    /// Whatever training gave, the update is within the clip, and is refused by nobody.
    #[test]
    fn what_is_made_is_within_the_clip(
        values in proptest::collection::vec(prop_oneof![-1e30_f32..1e30, -2.0_f32..2.0, -1e-7_f32..1e-7], 2..40),
        clip in prop_oneof![1e-9..1e-3_f64, 1e-3..127.0_f64],
    ) {
        let (base, trained) = trained(values);
        let rules = rules(base.values().len(), clip);
        let made = Update::of_training(&rules, MemberIndex(0), &base, &trained, 5);
        prop_assert!(made.is_ok(), "{made:?}");
    }

    /// Each coordinate is within half a unit of what training gave, unless the clip cut it.
    #[test]
    fn keeps_every_coordinate_to_half_a_unit(values in proptest::collection::vec(-2.0_f32..2.0, 2..40)) {
        let (base, trained) = trained(values.clone());
        let made = Update::of_training(&rules(values.len(), 100.0), MemberIndex(0), &base, &trained, 5).unwrap();
        for (coordinate, value) in made.get().coordinates.iter().zip(values) {
            prop_assert!((f64::from(*coordinate) - f64::from(value) * UNITS).abs() <= 0.5);
        }
    }

    #[test]
    fn a_clipped_update_keeps_its_direction(values in proptest::collection::vec(-2.0_f32..2.0, 2..40)) {
        prop_assume!(values.iter().any(|value| value.abs() > 0.1));
        let (base, trained) = trained(values.clone());
        let made = Update::of_training(&rules(values.len(), 0.05), MemberIndex(0), &base, &trained, 5).unwrap();
        let norm = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        prop_assert!((made.get().norm() - 0.05).abs() < 1e-6);
        for (coordinate, value) in made.get().coordinates.iter().zip(values) {
            prop_assert!((f64::from(*coordinate) / UNITS - f64::from(value) * 0.05 / norm).abs() < 1e-6);
        }
    }
}

#[test]
fn rounds_half_to_even() {
    let unit = 1.0 / UNITS as f32;
    let (base, trained) = trained(vec![0.5 * unit, 1.5 * unit, 2.5 * unit, -0.5 * unit, -1.5 * unit]);
    let made = Update::of_training(&rules(5, 1.0), MemberIndex(0), &base, &trained, 5).unwrap();
    assert_eq!(made.get().coordinates, [0, 2, 2, 0, -2]);
}

#[test]
fn the_clip_is_exact_to_the_unit() {
    let at = |coordinates: Vec<i32>| {
        let update = Update {
            coordinates,
            ..valid()
        };
        update.check(&rules(2, 5.0), MemberIndex(2))
    };
    let one = 1 << FRACTION_BITS;
    assert!(at(vec![3 * one, 4 * one]).is_ok());
    assert!(at(vec![3 * one, -4 * one]).is_ok());
    assert!(matches!(
        at(vec![3 * one, 4 * one + 1]),
        Err(UpdateError::BeyondClip { clip: 5.0, .. })
    ));
    assert!(matches!(
        at(vec![i32::MIN, i32::MIN]),
        Err(UpdateError::BeyondClip { .. })
    ));
}

#[test]
fn refuses_an_update_that_does_not_fit_its_round() {
    let ok = rules(3, 10.0);
    let check = |update: Update| update.check(&ok, MemberIndex(2));
    assert_eq!(check(valid()).unwrap().get(), &valid());
    let other = ContentDigest::of(b"other");
    let cases = [
        (
            Update {
                study: StudyId(8),
                ..valid()
            },
            UpdateError::OtherStudy {
                expected: StudyId(7),
                got: StudyId(8),
            },
        ),
        (
            Update {
                round: Round(2),
                ..valid()
            },
            UpdateError::OtherRound {
                expected: Round(3),
                got: Round(2),
            },
        ),
        (
            Update {
                member: MemberIndex(1),
                ..valid()
            },
            UpdateError::OtherMember {
                expected: MemberIndex(2),
                got: MemberIndex(1),
            },
        ),
        (
            Update {
                base: other,
                ..valid()
            },
            UpdateError::OtherBase {
                expected: ok.base,
                got: other,
            },
        ),
        (
            Update {
                coordinates: vec![1, 2],
                ..valid()
            },
            UpdateError::ShapeMismatch { expected: 3, got: 2 },
        ),
        (
            Update {
                examples: 0,
                ..valid()
            },
            UpdateError::Examples { limit: 1000, got: 0 },
        ),
        (
            Update {
                examples: 1001,
                ..valid()
            },
            UpdateError::Examples {
                limit: 1000,
                got: 1001,
            },
        ),
    ];
    for (update, expected) in cases {
        assert_eq!(check(update), Err(expected));
    }
    for clip in [0.0, -1.0, 127.5, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            valid().check(&rules(3, clip), MemberIndex(2)),
            Err(UpdateError::ClipRange { .. })
        ));
    }
}

#[test]
fn refuses_a_spoiled_record() {
    let bytes = valid().encode();
    let refused = |bytes: &[u8], most| match Update::decode(bytes, most) {
        Err(UpdateError::Malformed { what }) => what,
        other => panic!("{other:?}"),
    };
    let spoilt = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        bytes
    };
    assert_eq!(refused(&bytes[..63], 3), "shorter than its header of 64 bytes");
    assert_eq!(refused(&spoilt(0), 3), "it does not start with \"cwupdate\"");
    assert_eq!(refused(&spoilt(8), 3), "its version is not 1");
    assert_eq!(refused(&spoilt(10), 3), "it does not have 24 fraction bits");
    assert_eq!(refused(&bytes, 2), "it has more coordinates than are read here");
    let length = "its length is not what its number of coordinates asks for";
    assert_eq!(refused(&spoilt(60), 3), length);
    assert_eq!(refused(&bytes[..bytes.len() - 1], 3), length);
    assert_eq!(refused(&[bytes.as_slice(), &[0]].concat(), 3), length);
}

#[test]
fn refuses_training_of_another_shape() {
    let (base, trained) = trained(vec![1.0, 2.0]);
    assert_eq!(
        Update::of_training(&rules(3, 1.0), MemberIndex(0), &base, &trained, 5),
        Err(UpdateError::ShapeMismatch { expected: 3, got: 2 })
    );
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Vectors {
    records: Vec<RecordVector>,
    quantised: Vec<QuantisedVector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RecordVector {
    study: u64,
    round: u32,
    member: u8,
    base: ContentDigest,
    examples: u32,
    coordinates: Vec<i32>,
    bytes: String,
    digest: ContentDigest,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct QuantisedVector {
    claim: String,
    moved: Vec<String>,
    clip: String,
    coordinates: Vec<i32>,
}

#[test]
fn the_committed_vectors_hold() {
    let text = include_str!("../../../../testdata/update-v1.json");
    let vectors: Vectors = serde_json::from_str(text).unwrap();
    assert!(!vectors.records.is_empty() && !vectors.quantised.is_empty());
    for vector in vectors.records {
        let update = Update {
            study: StudyId(vector.study),
            round: Round(vector.round),
            member: MemberIndex(vector.member),
            base: vector.base,
            examples: vector.examples,
            coordinates: vector.coordinates,
        };
        assert_eq!(hex::encode(update.encode()), vector.bytes);
        assert_eq!(update.digest(), vector.digest);
    }
    for vector in vectors.quantised {
        let moved: Vec<f64> = vector.moved.iter().map(|text| text.parse().unwrap()).collect();
        let clip = vector.clip.parse().unwrap();
        assert_eq!(quantise(&moved, clip), Ok(vector.coordinates), "{}", vector.claim);
    }
}
