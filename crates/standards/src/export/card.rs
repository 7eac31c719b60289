//! Models as a Hugging Face model card: front matter in YAML, then Markdown.
//!
//! The front matter is what the ledger knows in the hub's words (`license`, `datasets`, `model-index`), and what it has no word
//! for under `counterweight`. Texts of others are quoted so that none of them is markup, or ends the front matter.

use std::fmt::Write as _;

use counterweight_provenance::manifest::ModelManifest;

use super::{
    Dossier, ExportError,
    dossier::full_name,
    text::{markdown, quoted, yaml},
};

/// A model as a card, to be written as `README.md`.
///
/// # Errors
/// [`ExportError::NoManifest`].
pub fn model_card(dossier: &Dossier<'_>) -> Result<String, ExportError> {
    let model = dossier.model()?;
    Ok(format!(
        "---\n{}---\n\n{}",
        front_matter(dossier, model),
        body(dossier, model)
    ))
}

fn front_matter(dossier: &Dossier<'_>, model: &ModelManifest) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    // The hub knows its own list of licences; what is not on it goes by name.
    line("license: other".to_owned());
    line(format!("license_name: {}", yaml(&model.licence)));
    line("library_name: \"counterweight\"".to_owned());
    line("tags:".to_owned());
    line("- \"federated-learning\"".to_owned());
    line(format!("- {}", yaml(&model.architecture.family)));
    let datasets: Vec<String> = dossier.datasets().map(|(node, _)| full_name(node)).collect();
    if !datasets.is_empty() {
        line("datasets:".to_owned());
        datasets
            .iter()
            .for_each(|dataset| line(format!("- {}", yaml(dataset))));
    }
    if !model.metrics.is_empty() {
        line("model-index:".to_owned());
        line(format!("- name: {}", yaml(&model.name)));
        line("  results:".to_owned());
        for metric in &model.metrics {
            line("  - task:".to_owned());
            line("      type: \"tabular-classification\"".to_owned());
            line("    dataset:".to_owned());
            line(format!("      name: {}", yaml(&metric.data)));
            line(format!("      type: {}", yaml(&metric.data)));
            line("    metrics:".to_owned());
            line(format!("    - type: {}", yaml(&metric.name)));
            line(format!("      value: {}", metric.value));
        }
    }
    let record = &dossier.subject.record;
    line("counterweight:".to_owned());
    line(format!("  asset: {}", yaml(&dossier.urn(record.id))));
    line(format!("  content: {}", yaml(&record.asset.content.to_string())));
    line(format!(
        "  manifest: {}",
        yaml(&record.asset.manifest.to_string())
    ));
    line(format!("  owner: {}", yaml(&record.owner.to_string())));
    line(format!(
        "  registered_at: {}",
        yaml(&record.registered_at.to_rfc3339())
    ));
    line(format!("  parameters: {}", model.architecture.parameters));
    let purposes: Vec<String> = model.purposes.names().iter().map(|name| yaml(name)).collect();
    line(format!("  purposes: [{}]", purposes.join(", ")));
    if let Some(run) = &dossier.run {
        line(format!("  run: {}", yaml(&run.digest.to_string())));
        line(format!("  rounds: {}", run.manifest.rounds.len()));
    }
    if let Some(logged) = &dossier.logged {
        line("  log:".to_owned());
        line(format!("    origin: {}", yaml(&logged.origin)));
        line(format!("    entry: {}", logged.index));
    }
    text
}

fn body(dossier: &Dossier<'_>, model: &ModelManifest) -> String {
    let mut text = format!("# {}\n\n", markdown(&full_name(dossier.subject)));
    let _ = writeln!(
        text,
        "A {} of {} parameters. Registered on chain {} as asset {}; `cw verify model` recomputes what is said here.\n",
        markdown(&model.architecture.family),
        model.architecture.parameters,
        dossier.chain,
        dossier.subject.record.id
    );
    if !model.card.is_empty() {
        let _ = writeln!(text, "In its publisher's words:\n\n{}\n", quoted(&model.card));
    }
    text.push_str("## Trained on\n\n");
    let mut datasets = dossier.datasets().peekable();
    if datasets.peek().is_none() {
        text.push_str("The ledger names no dataset.\n");
    }
    for (node, manifest) in datasets {
        let described = manifest.map(|dataset| {
            format!(
                ": {} rows, {}. {}",
                dataset.rows,
                markdown(&dataset.licence),
                markdown(&dataset.description)
            )
        });
        let _ = writeln!(
            text,
            "- {}{}",
            markdown(&full_name(node)),
            described.unwrap_or_default()
        );
    }
    if let Some(run) = &dossier.run {
        let _ = writeln!(
            text,
            "\n{} members took part in {} rounds. Rows stayed with their stewards.",
            run.manifest.members.len(),
            run.manifest.rounds.len()
        );
    }
    text.push_str("\n## Measured\n\n");
    if model.metrics.is_empty() {
        text.push_str("Nothing was published.\n");
    } else {
        text.push_str("| Measure | Data | Rows | Value |\n|---|---|---|---|\n");
        for metric in &model.metrics {
            let (name, data) = (markdown(&metric.name), markdown(&metric.data));
            let _ = writeln!(text, "| {name} | {data} | {} | {} |", metric.rows, metric.value);
        }
    }
    let _ = writeln!(
        text,
        "\n## Meant for\n\n{}",
        markdown(&model.purposes.names().join(", "))
    );
    text
}
