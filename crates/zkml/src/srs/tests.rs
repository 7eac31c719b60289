use std::io::Cursor;

use counterweight_zkml_verifier::curve::{G2, Group as _};
use halo2curves::bn256::Fq2;
use halo2curves::ff::{Field as _, PrimeField as _};
use halo2curves::serde::SerdeObject as _;
use halo2curves::{CurveAffine as _, bn256::Fq};

use super::*;

const POWER: u32 = 4;

/// A powers-of-tau file of power 4, for this secret.
struct Ceremony {
    one_section: Vec<(u32, Vec<u8>)>,
}

impl Ceremony {
    fn new(tau: u64) -> Self {
        let tau = Fr::from(tau);
        let exponents = || std::iter::successors(Some(Fr::ONE), |power| Some(power * tau));
        let mut header = 32_u32.to_le_bytes().to_vec();
        header.extend((-Fq::ONE).to_repr().as_ref());
        header[4] += 1;
        header.extend(POWER.to_le_bytes());
        header.extend(POWER.to_le_bytes());
        let first = exponents()
            .take((2 << POWER) - 1)
            .map(|power| (G1Affine::generator() * power).to_affine());
        let second = exponents()
            .take(1 << POWER)
            .map(|power| (G2Affine::generator() * power).to_affine());
        let one_section = vec![
            (1, header),
            (7, vec![9; 100]),
            (2, first.flat_map(|point| point.to_raw_bytes()).collect()),
            (3, second.flat_map(|point| point.to_raw_bytes()).collect()),
        ];
        Self { one_section }
    }

    fn section(&mut self, id: u32) -> &mut Vec<u8> {
        &mut self
            .one_section
            .iter_mut()
            .find(|(found, _)| *found == id)
            .expect("a section")
            .1
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"ptau".to_vec();
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend((self.one_section.len() as u32).to_le_bytes());
        for (id, content) in &self.one_section {
            bytes.extend(id.to_le_bytes());
            bytes.extend((content.len() as u64).to_le_bytes());
            bytes.extend(content);
        }
        bytes
    }

    fn read(&self) -> Result<(Srs, FileDigest), LoadSrsError> {
        Srs::from_powers_of_tau(Cursor::new(self.bytes()), 4)
    }

    fn refusal(&self) -> Refusal {
        match self.read() {
            Err(LoadSrsError::Refused(refusal)) => refusal,
            other => panic!("refused for another reason, or not at all: {other:?}"),
        }
    }
}

#[test]
fn a_ceremonys_file_gives_its_powers_and_digest() {
    let ceremony = Ceremony::new(77);
    let (srs, digest) = ceremony.read().unwrap();
    assert_eq!(srs.powers().len(), 16);
    assert_eq!(
        srs.powers()[15],
        (G1Affine::generator() * Fr::from(77).pow([15])).to_affine()
    );
    assert_eq!(
        *srs.verifier().tau_g2(),
        (G2Affine::generator() * Fr::from(77)).to_affine()
    );
    assert_eq!(srs.origin(), SrsOrigin::Ceremony);
    assert_ne!(Ceremony::new(78).read().unwrap().1, digest);
}

#[test]
fn points_that_are_not_powers_of_one_secret_are_refused() {
    let mut ceremony = Ceremony::new(77);
    let other = (G1Affine::generator() * Fr::from(5)).to_affine().to_raw_bytes();
    ceremony.section(2)[15 * 64..16 * 64].copy_from_slice(&other);
    assert_eq!(ceremony.refusal(), Refusal::NotPowers);
    let mut ceremony = Ceremony::new(77);
    *ceremony.section(3) = std::mem::take(Ceremony::new(78).section(3));
    assert_eq!(ceremony.refusal(), Refusal::NotPowers);
}

#[test]
fn points_outside_their_groups_are_refused() {
    let mut ceremony = Ceremony::new(77);
    ceremony.section(2)[64 * 3] ^= 1;
    assert_eq!(ceremony.refusal(), Refusal::Point { group: 1, index: 3 });
    let mut ceremony = Ceremony::new(77);
    ceremony.section(2)[64 * 3..64 * 4].fill(0);
    assert_eq!(
        ceremony.refusal(),
        Refusal::Point { group: 1, index: 3 },
        "infinity"
    );
    let mut ceremony = Ceremony::new(77);
    ceremony.section(3)[128..192].fill(0xff);
    assert_eq!(
        ceremony.refusal(),
        Refusal::Point { group: 2, index: 1 },
        "beyond the prime"
    );

    let mut x = Fq2::ONE;
    let outside = loop {
        let y = (x.square() * x + G2Affine::b()).sqrt().into_option();
        if let Some(y) = y {
            break G2Affine { x, y };
        }
        x += Fq2::ONE;
    };
    assert!(
        !bool::from((G2::from(outside) * -Fr::ONE + outside).is_identity()),
        "not of order r"
    );
    let mut ceremony = Ceremony::new(77);
    ceremony.section(3)[128..256].copy_from_slice(&outside.to_raw_bytes());
    assert_eq!(
        ceremony.refusal(),
        Refusal::Point { group: 2, index: 1 },
        "outside the subgroup"
    );
}

#[test]
fn other_generators_curves_and_versions_are_refused() {
    let mut ceremony = Ceremony::new(77);
    let two = (G1Affine::generator() * Fr::from(2)).to_affine().to_raw_bytes();
    ceremony.section(2)[..64].copy_from_slice(&two);
    assert_eq!(ceremony.refusal(), Refusal::Generators);
    let mut ceremony = Ceremony::new(77);
    ceremony.section(1)[4] ^= 2;
    assert_eq!(ceremony.refusal(), Refusal::OtherCurve);
    let mut bytes = Ceremony::new(77).bytes();
    bytes[4] = 2;
    let version = Srs::from_powers_of_tau(Cursor::new(bytes), 4);
    assert!(matches!(
        version,
        Err(LoadSrsError::Refused(Refusal::NotPowersOfTau))
    ));
}

#[test]
fn sections_that_are_missing_doubled_or_short_are_refused() {
    let mut ceremony = Ceremony::new(77);
    ceremony.one_section.remove(2);
    assert_eq!(ceremony.refusal(), Refusal::Section { id: 2 });
    let mut ceremony = Ceremony::new(77);
    ceremony.one_section[1].0 = 1;
    assert_eq!(ceremony.refusal(), Refusal::Section { id: 1 });
    let mut ceremony = Ceremony::new(77);
    ceremony.section(2).truncate(15 * 64);
    assert_eq!(ceremony.refusal(), Refusal::TooShort { needed: 16, got: 15 });
    let mut ceremony = Ceremony::new(77);
    ceremony.section(1)[36] = 2;
    assert_eq!(ceremony.refusal(), Refusal::TooShort { needed: 16, got: 7 });
    let mut bytes = Ceremony::new(77).bytes();
    // The length of the first section, beyond the end of the file and of the address space.
    bytes[16..24].fill(0xff);
    let length = Srs::from_powers_of_tau(Cursor::new(bytes), 4);
    assert!(matches!(
        length,
        Err(LoadSrsError::Refused(Refusal::Section { id: 1 }))
    ));
}

#[test]
fn a_file_cut_off_anywhere_is_an_error() {
    let bytes = Ceremony::new(77).bytes();
    for end in (0..bytes.len()).step_by(97) {
        assert!(
            Srs::from_powers_of_tau(Cursor::new(&bytes[..end]), 4).is_err(),
            "{end} bytes"
        );
    }
}

#[test]
fn secrets_that_anybody_guesses_are_refused() {
    for tau in [0, 1] {
        assert!(Ceremony::new(tau).read().is_err());
    }
}

#[test]
fn the_development_set_up_is_named_insecure() {
    let srs = Srs::development(4).unwrap();
    assert_eq!(srs.origin(), SrsOrigin::Development);
    assert!(srs.origin().to_string().contains("INSECURE"));
    assert_eq!(
        check_powers(srs.powers(), srs.verifier().tau_g2(), &[1; 32]),
        Ok(())
    );
    assert_eq!(
        srs.id(),
        Srs::development(5).unwrap().id(),
        "the id does not depend on the length"
    );
    assert!(matches!(
        Srs::development(3),
        Err(LoadSrsError::Variables { got: 3 })
    ));
    assert!(matches!(
        Srs::development(21),
        Err(LoadSrsError::Variables { got: 21 })
    ));
}

#[test]
fn a_set_up_survives_its_file_and_damage_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/development-4.srs");
    let made = Srs::development_cached(4, &path).unwrap();
    let loaded = Srs::load(&path).unwrap();
    assert_eq!(loaded.table().points(), made.table().points());
    assert_eq!(loaded.verifier(), made.verifier());
    assert_eq!(
        std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
        1,
        "nothing left beside it"
    );

    let whole = std::fs::read(&path).unwrap();
    for place in [0, 8, 12, 140, 200, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        assert!(
            matches!(
                cache::decode(&bytes),
                Err(LoadSrsError::Refused(Refusal::Damaged))
            ),
            "byte {place}"
        );
    }
    assert!(cache::decode(&whole[..whole.len() - 1]).is_err());
    assert!(cache::decode(&[]).is_err());
    std::fs::write(&path, &whole[..100]).unwrap();
    assert_eq!(
        Srs::development_cached(4, &path).unwrap().id(),
        made.id(),
        "made again"
    );
    assert_eq!(Srs::load(&path).unwrap().id(), made.id());
}
