//! Guesses at what was meant.

/// The candidate at most two edits away, the nearest one; the first of several equally near.
pub(crate) fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(text, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 2 && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_within_two_edits() {
        let names = ["rounds", "quorum", "seed"];
        assert_eq!(nearest("ruonds", names), Some("rounds"));
        assert_eq!(nearest("sead", names), Some("seed"));
        assert_eq!(nearest("epochs", names), None);
        assert_eq!(nearest("ab", ["cd"]), None);
    }
}
