use proptest::prelude::*;

use super::*;

fn schema(text: &str) -> DataSection {
    toml::from_str(text).unwrap()
}

fn heart() -> DataSection {
    schema(
        r#"
        columns = ["age", { name = "pain", levels = ["1", "2", "3"], drop-first = true }, { name = "chol", missing = "mean" }]
        label = "num > 0"
        "#,
    )
}

const HEART: &str = "age,pain,chol,num\n63,1,230,0\n50,3,?,2\n41,2.0,210,1\n?,1,200,0\n60,1,220,0\n";

fn csv(text: &str) -> Source<'_> {
    Source {
        name: "clinic.csv",
        bytes: text.as_bytes(),
        format: FileFormat::Csv,
    }
}

fn read_all(text: &str, data: &DataSection) -> Result<MemberRows, TableError> {
    member_rows(csv(text), data, None, 1)
}

#[test]
fn columns_become_inputs_in_the_order_listed() {
    let mut data = heart();
    data.standardise = Standardise::None;
    let rows = read_all(HEART, &data).unwrap();
    assert_eq!(rows.dropped, 1);
    assert_eq!(rows.train.inputs(), 4);
    assert_eq!(
        rows.train.features(),
        [
            63.0, 0.0, 0.0, 230.0, 50.0, 0.0, 1.0, 220.0, 41.0, 1.0, 0.0, 210.0, 60.0, 0.0, 0.0, 220.0
        ]
    );
    assert_eq!(rows.train.labels(), [0, 1, 1, 0]);
    assert!(rows.test.is_empty());
}

#[test]
fn inputs_have_mean_0_and_deviation_1_in_training() {
    let rows = read_all(HEART, &heart()).unwrap().train;
    for input in 0..rows.inputs() {
        let values: Vec<f64> = (0..rows.len())
            .map(|row| f64::from(rows.row(row).0[input]))
            .collect();
        let mean = values.iter().sum::<f64>() / 4.0;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 3.0;
        assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5, "{input}");
    }
}

#[test]
fn an_input_that_never_varies_becomes_0() {
    let data = schema("columns = [\"x\"]\nlabel = \"y\"\n");
    let rows = read_all("x,y\n0.1,0\n0.1,1\n0.1,0\n", &data).unwrap();
    assert_eq!(rows.train.features(), [0.0; 3]);
}

#[test]
fn members_can_be_scaled_by_the_holdout() {
    let mut data = heart();
    data.standardise = Standardise::Holdout;
    assert_eq!(
        member_rows(csv(HEART), &data, None, 1),
        Err(TableError::HoldoutNeeded)
    );
    let holdout = holdout_rows(csv("age,pain,chol,num\n40,1,200,0\n60,2,220,1\n"), &data).unwrap();
    assert_eq!(holdout.scaling.means()[0], 50.0);
    let rows = member_rows(csv(HEART), &data, Some(&holdout), 1).unwrap();
    let deviation = 200.0_f64.sqrt();
    assert_eq!(rows.train.row(0).0[0], (13.0 / deviation) as f32);
}

#[test]
fn reads_files_without_a_header_and_with_another_delimiter() {
    let data = schema(
        r#"
        header = false
        delimiter = ";"
        standardise = "none"
        columns = [{ name = "id", role = "ignore" }, "x", { name = "kind", role = "label" }]
        label = "kind"
        classes = ["ant", "bee", "cow"]
        "#,
    );
    let rows = read_all("a; 1.5 ;cow\n\"b;\";2;ant\n", &data).unwrap().train;
    assert_eq!(
        (rows.features(), rows.labels()),
        ([1.5, 2.0].as_slice(), [2, 0].as_slice())
    );
}

#[test]
fn labels_compare_numbers_and_texts() {
    for (rule, expected) in [
        ("y > 1", [0, 0, 1]),
        ("y >= 1", [0, 1, 1]),
        ("y < 1", [1, 0, 0]),
        ("y <= 1", [1, 1, 0]),
        ("y = 1", [0, 1, 0]),
        ("y != 1", [1, 0, 1]),
        ("z = b", [0, 1, 0]),
        ("z != b", [1, 0, 1]),
    ] {
        let data = schema(&format!("columns = [\"x\"]\nlabel = \"{rule}\"\n"));
        let rows = read_all("x,y,z\n1,0,a\n2,1,b\n3,2,c\n", &data).unwrap();
        assert_eq!(rows.train.labels(), expected, "{rule}");
    }
}

#[test]
fn missing_values_follow_their_columns_rule() {
    let with = |rule: &str| {
        schema(&format!(
            "columns = [{{ name = \"x\", missing = {rule} }}]\nlabel = \"y\"\nstandardise = \"none\"\n"
        ))
    };
    let text = "x,y\n1,0\n,1\n5,1\n";
    let features = |rule: &str| read_all(text, &with(rule)).unwrap().train.features().to_vec();
    assert_eq!(features("\"drop-row\""), [1.0, 5.0]);
    assert_eq!(features("\"mean\""), [1.0, 3.0, 5.0]);
    assert_eq!(features("-7"), [1.0, -7.0, 5.0]);
    let expected = TableError::Missing {
        file: "clinic.csv".to_owned(),
        place: "line 3".to_owned(),
        column: "x".to_owned(),
    };
    assert_eq!(read_all(text, &with("\"refuse\"")), Err(expected));
    assert!(matches!(
        read_all("x,y\n,0\n?,1\n", &with("\"mean\"")),
        Err(TableError::AllMissing { .. })
    ));
    let none = TableError::NothingLeft {
        file: "clinic.csv".to_owned(),
        dropped: 2,
    };
    assert_eq!(read_all("x,y\n,0\n?,1\n", &with("\"drop-row\"")), Err(none));
}

/// Each message says the file, the place, what was found and what was expected.
#[test]
fn says_what_is_wrong_and_where() {
    for (text, message) in [
        ("", "clinic.csv has no rows"),
        ("age,pain,chol,num\n", "clinic.csv has no rows"),
        (
            "age,pain,num\n1,1,1\n",
            "clinic.csv has no column \"chol\"; it has age, pain, num",
        ),
        (
            "age,pain,chol,age,num\n1,1,1,1,1\n",
            "clinic.csv has two columns \"age\"",
        ),
        (
            "age,pain,chol,num\n1,1,1,0\n1,1,1\n",
            "clinic.csv, line 3: 3 values, expected 4",
        ),
        (
            "age,pain,chol,num\nold,1,1,0\n",
            "clinic.csv, line 2, column \"age\": found \"old\", expected a finite number",
        ),
        (
            "age,pain,chol,num\nNaN,1,1,0\n",
            "clinic.csv, line 2, column \"age\": found \"NaN\", expected a finite number",
        ),
        (
            "age,pain,chol,num\n1,1,-inf,0\n",
            "clinic.csv, line 2, column \"chol\": found \"-inf\", expected a finite number",
        ),
        (
            "age,pain,chol,num\n1,1,1e999,0\n",
            "clinic.csv, line 2, column \"chol\": found \"1e999\", expected a finite number",
        ),
        (
            "age,pain,chol,num\n1,4,1,0\n",
            "clinic.csv, line 2, column \"pain\": found \"4\", expected one of 1, 2, 3",
        ),
        (
            "age,pain,chol,num\n1,1,1,yes\n",
            "clinic.csv, line 2, column \"num\": found \"yes\", expected a finite number",
        ),
    ] {
        assert_eq!(read_all(text, &heart()).unwrap_err().to_string(), message);
    }
    let binary = schema("columns = [\"x\"]\nlabel = \"y\"\n");
    assert_eq!(
        read_all("x,y\n1,2\n", &binary).unwrap_err().to_string(),
        "clinic.csv, line 2, column \"y\": found \"2\", expected 0 or 1"
    );
    let source = Source {
        bytes: b"x,y\n\xff,1\n",
        ..csv("")
    };
    assert_eq!(
        member_rows(source, &binary, None, 1).unwrap_err().to_string(),
        "clinic.csv, line 2: not UTF-8 text"
    );
    let mut wide = binary.clone();
    wide.delimiter = '→';
    assert!(matches!(
        read_all("x,y\n1,1\n", &wide),
        Err(TableError::Unreadable { .. })
    ));
}

#[test]
fn a_number_too_large_for_the_model_is_named() {
    let data = schema("columns = [\"x\"]\nlabel = \"y\"\nstandardise = \"none\"\n");
    assert_eq!(
        read_all("x,y\n1,0\n1e300,1\n", &data),
        Err(TableError::NotFinite { row: 1, input: 0 })
    );
}

#[test]
fn a_holdout_is_csv() {
    let source = Source {
        format: FileFormat::Parquet,
        ..csv("")
    };
    assert!(matches!(
        holdout_rows(source, &heart()),
        Err(TableError::HoldoutFormat { .. })
    ));
}

#[test]
fn datasets_join_if_they_are_as_wide() {
    let one = Dataset::new(2, vec![1.0, 2.0], vec![1]).unwrap();
    let two = Dataset::new(2, vec![3.0, 4.0, 5.0, 6.0], vec![0, 1]).unwrap();
    let all = Dataset::concat([&one, &two]).unwrap();
    assert_eq!((all.len(), all.row(2)), (3, ([5.0, 6.0].as_slice(), 1)));
    let three = Dataset::new(3, vec![0.0; 3], vec![0]).unwrap();
    assert!(matches!(
        Dataset::concat([&one, &three]),
        Err(TableError::Shape { .. })
    ));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for text in [bytes.clone(), [b"age,pain,chol,num\n".as_slice(), &bytes].concat()] {
            let source = Source { bytes: &text, ..csv("") };
            let _ = member_rows(source, &heart(), None, 1);
        }
    }
}
