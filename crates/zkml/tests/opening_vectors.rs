//! `testdata/opening-v1.json`, which the Solidity verifier reads too, holds what this prover makes and this verifier accepts.

use counterweight_zkml::{opening, random, srs::Srs};
use counterweight_zkml_verifier::curve::{Curve as _, encode_g1, encode_g2};
use counterweight_zkml_verifier::field::{self, Field as _, to_word};
use counterweight_zkml_verifier::opening::{OpeningClaim, verify};
use counterweight_zkml_verifier::transcript::keccak256;
use counterweight_zkml_verifier::{Fr, G1Affine, G2Affine, Scheme, Transcript};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde_json::{Value, json};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/opening-v1.json");
const LABEL: &str = "counterweight/zkml/opening/test-vector/v1";

fn hex(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn words(scalars: &[Fr]) -> Vec<String> {
    scalars.iter().map(|scalar| hex(&to_word(scalar))).collect()
}

fn transcript_vector() -> Value {
    let mut transcript = Transcript::new(LABEL);
    let first = transcript.challenge();
    transcript.absorb_u64(258);
    transcript.absorb_scalar(&-Fr::ONE);
    transcript.absorb_point(&G1Affine::generator());
    transcript.absorb_data(b"variable");
    transcript.absorb_label("part");
    let challenges = [first, transcript.challenge(), transcript.challenge()];
    json!({
        "label": LABEL,
        "before_the_second_challenge": [
            {"number": 258},
            {"scalar": hex(&to_word(&-Fr::ONE))},
            {"point": hex(&encode_g1(&G1Affine::generator()))},
            {"data": hex(b"variable")},
            {"label": "part"},
        ],
        "challenges": words(&challenges),
    })
}

fn opening_vector(scheme: Scheme, variables: usize) -> Value {
    let srs = Srs::development(variables).expect("a length in range");
    let mut rng = ChaCha20Rng::seed_from_u64(variables as u64);
    let row = random::scalars(&mut rng, 1 << variables);
    let point = random::scalars(&mut rng, variables);
    let blinding = random::scalar(&mut rng);
    let hiding = counterweight_zkml::commit::row(&srs, &row, &blinding);
    let terms = [
        (Fr::ONE, hiding),
        (-blinding, *srs.verifier().blinding_generator()),
    ];
    let commitment = counterweight_zkml_verifier::curve::combine(&terms).to_affine();
    let value = opening::evaluate_row(&row, &point);

    let mut transcript = Transcript::new(LABEL);
    let proof =
        opening::open(&srs, scheme, &mut transcript, &commitment, &row, &point, &value).expect("opens");
    let claim = OpeningClaim {
        commitment: &terms,
        point: &point,
        value,
    };
    let mut replayed = Transcript::new(LABEL);
    verify(srs.verifier(), scheme, &mut replayed, &claim, &proof).expect("an honest opening is accepted");
    let after = transcript.challenge();
    assert_eq!(
        after,
        replayed.challenge(),
        "both sides go on from one transcript"
    );
    json!({
        "scheme": scheme as u8,
        "name": scheme.to_string(),
        "variables": variables,
        "transcript_label": LABEL,
        "hiding_commitment": hex(&encode_g1(&hiding)),
        "blinding": hex(&to_word(&blinding)),
        "commitment": hex(&encode_g1(&commitment)),
        "point": words(&point),
        "value": hex(&to_word(&value)),
        "proof": hex(&proof),
        "challenge_after": hex(&to_word(&after)),
    })
}

fn vectors() -> Value {
    let srs = Srs::development(4).expect("a length in range");
    let verifier = srs.verifier();
    let openings: Vec<Value> = [Scheme::Mercury, Scheme::HyperKzg]
        .into_iter()
        .flat_map(|scheme| [4, 5, 12, 13].map(|variables| opening_vector(scheme, variables)))
        .collect();
    json!({
        "about": "Openings under the INSECURE development set-up; docs/spec/opening.md",
        "srs": {
            "origin": verifier.origin().to_string(),
            "id": hex(&verifier.id().0),
            "one_g2": hex(&encode_g2(&G2Affine::generator())),
            "tau_g2": hex(&encode_g2(verifier.tau_g2())),
            "blinding_generator": hex(&encode_g1(verifier.blinding_generator())),
            "seed": counterweight_zkml::srs::DEVELOPMENT_SEED,
            "tau": hex(&to_word(&field::from_word_reduced(&keccak256(counterweight_zkml::srs::DEVELOPMENT_SEED.as_bytes())))),
        },
        "transcript": transcript_vector(),
        "openings": openings,
    })
}

#[test]
fn the_committed_vectors_are_what_the_prover_makes() {
    let made = serde_json::to_string_pretty(&vectors()).expect("serialises") + "\n";
    if std::env::var_os("CW_UPDATE_VECTORS").is_some() {
        std::fs::write(PATH, &made).expect("testdata is writable");
    }
    let committed = std::fs::read_to_string(PATH).expect("the vectors are committed");
    assert_eq!(
        committed, made,
        "set CW_UPDATE_VECTORS=1 to write them again, if the change was meant"
    );
}
