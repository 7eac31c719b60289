//! How thorough a run is.

/// How often to repeat something: `usual` in `make test`, `long` in `make test-long` (`CW_TEST_LONG=1`).
#[must_use]
pub fn repetitions(usual: u64, long: u64) -> u64 {
    if std::env::var("CW_TEST_LONG").is_ok_and(|value| value == "1") {
        long
    } else {
        usual
    }
}
