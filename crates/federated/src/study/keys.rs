//! Which keys each table of a study knows, for messages that offer the nearest one.

/// Keys of a table; none for a table that a study does not have. `table` is written as in TOML: `""` for the top,
/// `"training"`, `"dataset"`, `"data.columns"`, `"training.aggregation"`.
#[must_use]
pub fn known_keys(table: &str) -> Option<&'static [&'static str]> {
    Some(match table {
        "" => &["study", "model", "training", "data", "holdout", "dataset"],
        "study" => &["name", "purpose", "budget", "bond", "member-cap", "lineage-share"],
        "model" => &["name", "architecture", "hidden", "activation"],
        "training" => &[
            "rounds",
            "members-per-round",
            "quorum",
            "aggregation",
            "local-steps",
            "local-epochs",
            "batch",
            "optimiser",
            "lr",
            "proximal",
            "clip",
            "round-timeout",
            "close-timeout",
            "seed",
        ],
        "training.aggregation" => &["rule", "lr", "momentum", "beta1", "beta2", "tau"],
        "data" => &[
            "header",
            "delimiter",
            "missing",
            "columns",
            "label",
            "classes",
            "standardise",
            "test-fraction",
        ],
        "data.columns" => &["name", "role", "levels", "drop-first", "missing"],
        "holdout" => &["path", "format"],
        "dataset" => &[
            "name",
            "path",
            "licence",
            "consent",
            "format",
            "steward",
            "description",
        ],
        _ => return None,
    })
}
