use counterweight_primitives::architecture::{Architecture, Bias, Layer, Node, Output, Shape};
use proptest::prelude::*;

use super::*;
use crate::curve::{G2, G2Affine};
use crate::model::{Model, WeightCommitment};
use crate::plan::{Plan, Visibility, WeightPlan};

fn model() -> Model {
    let bias = Bias { digits: 1, shift: 0 };
    let layers = vec![Layer::Dense {
        input: Node(0),
        outputs: 3,
        bias,
        output: Output::Raw,
    }];
    let architecture = Architecture::new(Shape::vector(5).unwrap(), layers).unwrap();
    let rows = vec![G1Affine::default(); WeightPlan::new(&architecture, 11).unwrap().rows];
    Model {
        architecture,
        commitment: WeightCommitment {
            row_bits: 11,
            scheme: Scheme::Mercury,
            rows,
        },
    }
}

fn srs() -> VerifierSrs {
    use crate::curve::Curve;
    let tau: G2 = G2Affine::generator() * Fr::from(5);
    VerifierSrs::new(tau.to_affine()).unwrap()
}

fn statement(output: &[u8]) -> Statement<'_> {
    Statement {
        context: [7; 32],
        input: InputStatement::Public(&[1, 2, 3, 4, 5]),
        output,
    }
}

#[test]
fn lengths_are_told_before_anything_is_read() {
    let (model, srs) = (model(), srs());
    let plan = Plan::new(&model.architecture, 11, Visibility::Public).unwrap();
    let expected = inference_shape(&plan, &model).bytes();
    for got in [0, expected - 1, expected + 1] {
        let error = verify_inference(&srs, &model, &statement(&[0; 12]), &vec![0; got]).unwrap_err();
        assert_eq!(error, VerifyError::Length { expected, got });
    }
    let error = verify_inference(&srs, &model, &statement(&[0; 11]), &[]).unwrap_err();
    assert_eq!(
        error,
        VerifyError::OutputLength {
            expected: 12,
            got: 11
        }
    );
    let short = Statement {
        input: InputStatement::Public(&[1]),
        ..statement(&[0; 12])
    };
    assert_eq!(
        verify_inference(&srs, &model, &short, &[]).unwrap_err(),
        VerifyError::InputLength { expected: 5, got: 1 }
    );
}

#[test]
fn zeros_are_no_proof() {
    let (model, srs) = (model(), srs());
    let plan = Plan::new(&model.architecture, 11, Visibility::Public).unwrap();
    let proof = vec![0; inference_shape(&plan, &model).bytes()];
    let mut output = [0; 12];
    output[11] = 1;
    let error = verify_inference(&srs, &model, &statement(&output), &proof).unwrap_err();
    assert!(matches!(error, VerifyError::Opening(_)), "{error}");
    let registration = RegistrationPlan::new(&model.architecture, 11).unwrap();
    let proof = vec![0; registration_shape(&registration, &model).bytes()];
    verify_registration(&srs, &model, &proof).unwrap_err();
}

#[test]
fn a_commitment_survives_its_encoding_and_nothing_else_decodes() {
    let Model {
        architecture,
        commitment,
    } = model();
    let bytes = commitment.encode();
    assert_eq!(WeightCommitment::decode(&architecture, &bytes), Ok(commitment));
    for length in 0..bytes.len() {
        WeightCommitment::decode(&architecture, &bytes[..length]).unwrap_err();
    }
    let with = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        WeightCommitment::decode(&architecture, &bytes).unwrap_err()
    };
    assert!(matches!(
        with(0, 10),
        CommitmentError::Plan(PlanError::RowBits { got: 10 })
    ));
    assert_eq!(with(1, 0), CommitmentError::Scheme { got: 0 });
    assert!(matches!(with(2, 0xff), CommitmentError::Encoding(_)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn hostile_bytes_are_refused_not_followed(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
        let (model, srs) = (model(), srs());
        prop_assert!(verify_inference(&srs, &model, &statement(&[0; 12]), &bytes).is_err());
        prop_assert!(verify_registration(&srs, &model, &bytes).is_err());
    }
}
