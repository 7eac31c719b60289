//! The technical documentation that Annex IV of the EU AI Act (Regulation (EU) 2024/1689) asks for, as far as the ledger holds it.
//!
//! Each item of the annex is here, filled from the ledger or named as a gap with who can fill it. A pack is a beginning for
//! the provider, not a declaration: whether a system is of high risk, and whether what is said suffices, is not decided here.

use serde::Serialize;

use super::{Dossier, ExportError, dossier::full_name, text::markdown};

/// The pack: every item of the annex in its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnnexIv {
    /// Always `counterweight/annex-iv/v1`.
    pub format: &'static str,
    /// Name and version of the model.
    pub model: String,
    /// Its name on the chain.
    pub asset: String,
    /// When it was registered.
    pub registered_at: String,
    /// The items.
    pub items: Vec<Item>,
}

/// An item of the annex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Point and letter, `2(d)`.
    pub point: &'static str,
    /// What it asks for, in short.
    pub asks: &'static str,
    /// What the ledger holds of it: lines of names and values.
    pub facts: Vec<Fact>,
    /// What is missing, and who has it. None of the items is ever complete from a ledger alone.
    pub gap: &'static str,
}

/// Something that the ledger holds, with where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What the annex asks for, and what no ledger can say of it.
const ITEMS: &[(&str, &str, &str)] = &[
    (
        "1(a)",
        "intended purpose, provider, version and its relation to earlier ones",
        "The provider's name and address; the intended purpose in words, for the system and not only for the model.",
    ),
    (
        "1(b)",
        "how the system interacts with hardware and software that is not part of it",
        "From the provider: interfaces of the system around the model.",
    ),
    (
        "1(c)",
        "versions of software and firmware, and requirements on updates",
        "From the provider: versions of the software that runs the model.",
    ),
    (
        "1(d)",
        "the forms in which it is placed on the market",
        "From the provider: packages, services, contracts.",
    ),
    ("1(e)", "the hardware it is meant to run on", "From the provider."),
    (
        "1(f)",
        "photographs or drawings, where it is part of a product",
        "From the provider, where it applies.",
    ),
    (
        "1(g)",
        "the user interface provided to the deployer",
        "From the provider.",
    ),
    (
        "1(h)",
        "instructions for use",
        "From the provider; Article 13 says what they hold.",
    ),
    (
        "2(a)",
        "methods and steps of development, third-party tools and pre-trained systems",
        "Why these methods were chosen; tools that left no trace on the ledger.",
    ),
    (
        "2(b)",
        "design: logic, assumptions, what is optimised, trade-offs",
        "Rationale and assumptions, also about the persons it is used on; trade-offs made for Chapter III, Section 2.",
    ),
    (
        "2(c)",
        "architecture, and computational resources used to develop, train, test and validate",
        "Computing resources: the members' machines are not on the ledger.",
    ),
    (
        "2(d)",
        "data: provenance, scope, characteristics, how obtained, labelling, cleaning",
        "How the data were obtained, labelled and cleaned; representativeness and bias (Article 10): from each steward.",
    ),
    (
        "2(e)",
        "human oversight measures needed under Article 14",
        "From the provider: who oversees, with which tools.",
    ),
    (
        "2(f)",
        "pre-determined changes and continuous compliance",
        "From the provider: which changes are planned; later versions are named here once they are registered.",
    ),
    (
        "2(g)",
        "validation and testing: data, metrics, logs, test reports signed by those responsible",
        "Metrics on groups of persons, robustness tests, and reports dated and signed by the persons responsible.",
    ),
    (
        "2(h)",
        "cybersecurity measures",
        "From the provider; docs/concepts/threats.md says what the ledger itself defends and what it does not.",
    ),
    (
        "3",
        "monitoring, functioning and control: capabilities, limits, accuracy for persons and groups, foreseeable risks",
        "Accuracy for the persons and groups it is meant for; foreseeable unintended outcomes; input specifications.",
    ),
    (
        "4",
        "why the performance metrics are appropriate",
        "From the provider.",
    ),
    (
        "5",
        "the risk management system (Article 9)",
        "From the provider.",
    ),
    (
        "6",
        "relevant changes through the life cycle",
        "From the provider: changes of the system around the model.",
    ),
    (
        "7",
        "harmonised standards applied",
        "From the provider; exports for tools of others: docs/reference/standards.md.",
    ),
    (
        "8",
        "a copy of the EU declaration of conformity",
        "From the provider.",
    ),
    (
        "9",
        "the post-market monitoring system (Article 72)",
        "From the provider.",
    ),
];

/// The pack of a model.
///
/// # Errors
/// [`ExportError::NoManifest`].
pub fn annex_iv(dossier: &Dossier<'_>) -> Result<AnnexIv, ExportError> {
    dossier.model()?;
    let record = &dossier.subject.record;
    let mut items = Vec::with_capacity(ITEMS.len());
    for (point, asks, gap) in ITEMS {
        items.push(Item {
            point,
            asks,
            facts: facts(dossier, point)?,
            gap,
        });
    }
    Ok(AnnexIv {
        format: "counterweight/annex-iv/v1",
        model: full_name(dossier.subject),
        asset: dossier.urn(record.id),
        registered_at: record.registered_at.to_rfc3339(),
        items,
    })
}

fn facts(dossier: &Dossier<'_>, point: &str) -> Result<Vec<Fact>, ExportError> {
    let (model, record) = (dossier.model()?, &dossier.subject.record);
    let mut facts = Vec::new();
    let mut say = |name: &str, value: &dyn ToString| {
        facts.push(Fact {
            name: name.to_owned(),
            value: value.to_string(),
        });
    };
    match point {
        "1(a)" => {
            say("model", &full_name(dossier.subject));
            say("account of its owner", &record.owner);
            say("purposes it was trained for", &model.purposes.names().join(", "));
            say("version", &record.asset.version);
            if let Some(previous) = record.asset.previous {
                say("earlier version", &dossier.urn(previous));
            }
        }
        "1(d)" => {
            say(
                "file",
                &format!(
                    "safetensors, {} bytes, {}",
                    model.content.size, model.content.digest
                ),
            );
            say("licence", &model.licence);
        }
        "2(a)" => {
            if let Some(run) = &dossier.run {
                say(
                    "training run",
                    &format!(
                        "run {} of contract {} on chain {}",
                        run.manifest.study, run.manifest.contract, run.manifest.chain
                    ),
                );
                say("terms that all members agreed to", &run.manifest.terms);
                say(
                    "rounds, each with every member's committed update",
                    &run.manifest.rounds.len(),
                );
                say("manifest of the run", &run.digest);
            }
            for node in dossier
                .ancestors
                .iter()
                .filter(|node| node.record.asset.kind == counterweight_provenance::ledger::AssetKind::Model)
            {
                say(
                    "earlier model that it came from",
                    &format!("{}, {}", full_name(node), node.record.asset.content),
                );
            }
        }
        "2(b)" => {
            say("family", &model.architecture.family);
            if let Some(run) = &dossier.run {
                say(
                    "what is optimised, and how",
                    &format!("in the study's terms {}", run.manifest.terms),
                );
            }
        }
        "2(c)" => {
            say("architecture", &model.architecture.family);
            say("parameters", &model.architecture.parameters);
            model
                .architecture
                .settings
                .iter()
                .for_each(|(name, value)| say(name, value));
        }
        "2(d)" => {
            for (node, dataset) in dossier.datasets() {
                let described = dataset.map(|dataset| {
                    format!(
                        "; {} rows, {} columns, licence {}, steward {}, allowed for {}: {}",
                        dataset.rows,
                        dataset.columns.len(),
                        dataset.licence,
                        dataset.steward,
                        dataset.purposes.names().join(", "),
                        dataset.description
                    )
                });
                say(
                    &full_name(node),
                    &format!("{}{}", node.record.asset.content, described.unwrap_or_default()),
                );
            }
            if let Some(run) = &dossier.run {
                for member in &run.manifest.members {
                    let consent = format!(
                        "asset {}, consent of epoch {}, contribution {} millionths",
                        member.dataset,
                        member.consent_epoch,
                        member.contribution.millionths()
                    );
                    say(&format!("member {}", member.account), &consent);
                }
            }
        }
        "2(g)" | "3" => {
            for metric in &model.metrics {
                say(
                    &format!("{} on {}", metric.name, metric.data),
                    &format!("{} ({} rows)", metric.value, metric.rows),
                );
            }
            if let (Some(run), "2(g)") = (&dossier.run, point) {
                say("report on contributions, recomputable", &run.manifest.evidence);
            }
        }
        "2(h)" => {
            say(
                "weights and manifest are committed on the chain",
                &format!("{}, {}", record.asset.content, record.asset.manifest),
            );
            if let Some(logged) = &dossier.logged {
                say(
                    "publication is in a transparency log",
                    &format!("entry {} of {}", logged.index, logged.origin),
                );
            }
        }
        "6" => {
            say("registered", &record.registered_at.to_rfc3339());
            if let Some(previous) = record.asset.previous {
                say("replaces", &dossier.urn(previous));
            }
        }
        _ => {}
    }
    Ok(facts)
}

impl AnnexIv {
    /// Items that the ledger says nothing about.
    pub fn empty(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.facts.is_empty())
    }

    /// The same for people.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = format!(
            "# Technical documentation of {}: Annex IV of Regulation (EU) 2024/1689\n\n{}, registered {}.\n\n",
            markdown(&self.model),
            markdown(&self.asset),
            self.registered_at
        );
        text.push_str(
            "What follows under \"On the ledger\" was committed when the model was made and published; `cw verify model` recomputes it. \
             Everything under \"Missing\" has to come from somebody. Texts of others are quoted.\n",
        );
        for item in &self.items {
            text.push_str(&format!("\n## {} {}\n\n", item.point, item.asks));
            if item.facts.is_empty() {
                text.push_str("On the ledger: nothing.\n");
            } else {
                text.push_str("On the ledger:\n\n");
                for fact in &item.facts {
                    let value = markdown(&fact.value);
                    text.push_str(&format!("- {}: {value}\n", markdown(&fact.name)));
                }
            }
            text.push_str(&format!("\n**Missing.** {}\n", item.gap));
        }
        text
    }
}
