use super::{
    super::{decimal::Decimal, linear::LinearFeature},
    *,
};

pub(in super::super) fn field(name: &str, role: Role, kind: ValueType) -> Field {
    Field {
        name: name.to_owned(),
        role,
        kind,
    }
}

fn fields() -> Vec<Field> {
    vec![
        field("age", Role::Input, ValueType::Integer),
        field("income", Role::Input, ValueType::Number),
        field("employer", Role::Input, ValueType::Text),
        field("branch", Role::Variable, ValueType::Text),
        field("score", Role::Output, ValueType::Number),
        field("name", Role::Reviewer, ValueType::Text),
    ]
}

fn parameters() -> LinearParameters {
    let feature = |input: &str, mean: f64, weight: f64| LinearFeature {
        input: input.to_owned(),
        mean: Decimal::new(mean).unwrap(),
        weight: Decimal::new(weight).unwrap(),
    };
    let features = vec![feature("income", 3000.0, -1e-4), feature("age", 44.25, 0.02)];
    LinearParameters::new(Decimal::new(-1.5).unwrap(), "score", features, Link::Identity)
}

fn model() -> ContentDigest {
    ContentDigest([4; 32])
}

/// A profile with a linear explanation.
pub(in super::super) fn loans() -> Arc<Profile> {
    Arc::new(Profile::new("loans.example/score", model(), None, fields(), Some(parameters())).unwrap())
}

/// A decision under it.
pub(in super::super) fn loan(subject: &str, age: i64) -> Decision {
    let income = 1234.5;
    Decision {
        subject: subject.to_owned(),
        time: UnixMillis(1_795_305_599_000 + age as u64),
        flags: Flags::default(),
        values: vec![
            Value::Integer(age),
            Value::Number(income),
            Value::Text(format!(
                "the employer of {subject}, whose name is longer than a block"
            )),
            Value::Null,
            Value::Number(-1.5 + 0.02 * age as f64 - 1e-4 * income),
            Value::Null,
        ],
    }
}

#[test]
fn a_profile_reads_back_with_and_without_its_parameters() {
    let profile = loans();
    let names: Vec<_> = profile
        .fields()
        .iter()
        .map(|f| (f.name.as_str(), f.role))
        .collect();
    assert_eq!(
        names[6..],
        [
            ("score", Role::Base),
            ("income", Role::Contribution),
            ("age", Role::Contribution)
        ]
    );
    let read = Profile::decode(profile.bytes(), Some(parameters())).unwrap();
    assert_eq!((read.id(), read.given().len()), (profile.id(), 6));
    let read = Arc::new(Profile::decode(profile.bytes(), None).unwrap());
    assert!(matches!(
        read.check(loan("a", 50)),
        Err(ProfileError::Parameters { .. })
    ));
    let mut other = parameters();
    other.bias = Decimal::new(1.0).unwrap();
    assert!(matches!(
        Profile::decode(profile.bytes(), Some(other)),
        Err(ProfileError::Parameters { .. })
    ));
}

#[test]
fn a_decision_is_explained_exactly() {
    let checked = loans().check(loan("a", 50)).unwrap();
    let phi = [-1e-4 * (1234.5 - 3000.0), 0.02 * (50.0 - 44.25)];
    assert_eq!(checked.values()[7..], phi.map(Value::Number));
    assert_eq!(
        checked.values()[6],
        Value::Number(-1.5 + -1e-4 * 3000.0 + 0.02 * 44.25)
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |change: &dyn Fn(&mut Decision)| {
        let mut decision = loan("a", 50);
        change(&mut decision);
        loans().check(decision).unwrap_err()
    };
    let value = |e| matches!(e, ProfileError::Value { .. });
    assert!(matches!(
        refused(&|d| drop(d.values.pop())),
        ProfileError::ValueCount { .. }
    ));
    assert!(value(refused(&|d| d.values[0] = Value::Text("x".into()))));
    assert!(value(refused(&|d| d.values[4] = Value::Number(f64::NAN))));
    assert!(matches!(
        refused(&|d| d.values[1] = Value::Null),
        ProfileError::InputMissing { .. }
    ));
    assert!(matches!(
        refused(&|d| d.values[4] = Value::Null),
        ProfileError::InputMissing { .. }
    ));
    assert!(matches!(
        refused(&|d| d.values[0] = Value::Integer(51)),
        ProfileError::Inaccurate { .. }
    ));
    assert!(matches!(
        refused(&|d| d.subject.clear()),
        ProfileError::Subject { got: 0 }
    ));
}

#[test]
fn a_message_about_a_value_does_not_repeat_it() {
    let mut decision = loan("a", 50);
    decision.values[0] = Value::Text("secret".into());
    let error = loans().check(decision).unwrap_err().to_string();
    assert_eq!(error, "field \"age\" takes integer or nothing; the value is text");
}

#[test]
fn profiles_that_cannot_be_are_refused() {
    let make = |fields: Vec<Field>, parameters| {
        Profile::new("loans.example/score", model(), None, fields, parameters).unwrap_err()
    };
    assert!(matches!(make(vec![], None), ProfileError::FieldCount { got: 0 }));
    let mut twice = fields();
    twice.push(twice[0].clone());
    assert!(matches!(make(twice, None), ProfileError::Field { .. }));
    let many = (0..1025)
        .map(|i| field(&i.to_string(), Role::Input, ValueType::Text))
        .collect();
    assert!(matches!(make(many, None), ProfileError::FieldCount { got: 1025 }));
    let mut text = fields();
    text[1].kind = ValueType::Text;
    assert!(matches!(
        make(text, Some(parameters())),
        ProfileError::Parameters { .. }
    ));
    let other = vec![
        field("a", Role::Base, ValueType::Number),
        field("b", Role::Input, ValueType::Number),
    ];
    assert!(matches!(make(other, None), ProfileError::Field { .. }));
    let unnamed = Profile::new("", model(), None, fields(), None).unwrap_err();
    assert!(matches!(unnamed, ProfileError::Endpoint));
    let text = String::from_utf8(loans().bytes().to_vec()).unwrap();
    assert!(matches!(
        Profile::decode(text.replace("profile/v1", "profile/v2").as_bytes(), None),
        Err(ProfileError::Format { .. })
    ));
}
