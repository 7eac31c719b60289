//! What holds of every proof, whatever it is about.

mod arithmetic;
mod hiding;
mod networks;
mod soundness;
mod vectors;

use counterweight_zkml_verifier::opening::Scheme;
use counterweight_zkml_verifier::{InputStatement, Statement, VerifyError, verify_inference};
use networks::{Example, examples};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::srs::Srs;
use crate::{Input, InputCommitment, ProvenAnswer, SecretModel};

const CONTEXT: [u8; 32] = [7; 32];

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn srs() -> Srs {
    Srs::development(11).unwrap()
}

fn check(
    srs: &Srs,
    secret: &SecretModel,
    input: InputStatement<'_>,
    answer: &ProvenAnswer,
) -> Result<(), VerifyError> {
    let statement = Statement {
        context: CONTEXT,
        input,
        output: &answer.output,
    };
    verify_inference(srs.verifier(), &secret.key().model, &statement, &answer.proof)
}

#[test]
fn every_layer_kind_is_proven_on_public_and_private_inputs() {
    let srs = srs();
    for Example { name, network, input } in examples() {
        let mut rng = rng(1);
        let secret = SecretModel::commit(network, &srs, Scheme::Mercury, &mut rng).unwrap();
        assert_eq!(secret.key().verify(srs.verifier()), Ok(()), "{name}");

        let answer = secret
            .prove(&srs, Input::Public(&input), CONTEXT, &mut rng)
            .unwrap();
        assert_eq!(answer.output, secret.network().run(&input).unwrap().to_bytes());
        assert_eq!(
            check(&srs, &secret, InputStatement::Public(&input), &answer),
            Ok(()),
            "{name}"
        );

        let hidden =
            InputCommitment::commit(&srs, secret.network().architecture(), &input, &mut rng).unwrap();
        let answer = secret
            .prove(&srs, Input::Private(&hidden), CONTEXT, &mut rng)
            .unwrap();
        assert_eq!(
            check(&srs, &secret, InputStatement::Committed(hidden.hash()), &answer),
            Ok(()),
            "{name}"
        );
    }
}
