//! What other libraries say of models and rows, in files that tests share.

use serde_json::Value;

/// Reads such a file.
pub(super) fn read(name: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/");
    serde_json::from_str(&std::fs::read_to_string(format!("{folder}{name}")).unwrap()).unwrap()
}

/// A list of numbers in it.
pub(super) fn numbers(json: &Value) -> Vec<f64> {
    let list = json.as_array().unwrap().iter();
    list.map(|number| number.as_f64().unwrap()).collect()
}
