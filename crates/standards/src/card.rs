//! Model and dataset cards of Hugging Face, read as what they are: claims of whoever wrote them.
//!
//! A card is Markdown with YAML between two lines of dashes at its beginning. Every scalar is kept as the text it was written
//! as: whether `no` is a language or a truth value is for nobody here to guess. Anchors and aliases are refused, since a few
//! lines of them stand for more than fits into any memory, and so are tags.

use saphyr_parser::{Event, Parser};
use serde::Serialize;
use serde_json::{Map, Value};

/// Longest card.
pub const CARD_BYTES: usize = 4 << 20;

/// Most values in the front matter.
const MOST_VALUES: usize = 100_000;

/// Deepest nesting.
const DEEPEST: usize = 32;

/// Why a card was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// Longer than any card.
    #[error("a card has at most {limit} bytes, this one has {got}")]
    TooLong {
        /// Bytes found.
        got: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The front matter is no YAML.
    #[error("the front matter cannot be read: {reason}")]
    Yaml {
        /// Where and why.
        reason: String,
    },
    /// The front matter does what is not allowed here.
    #[error("line {line} of the front matter: {reason}")]
    Refused {
        /// The line, counted from 1.
        line: usize,
        /// What it does.
        reason: &'static str,
    },
}

/// What a card says. Nothing of it was checked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CardClaims {
    /// Licences, as they are named.
    pub licence: Vec<String>,
    /// Models that it was made from.
    pub base_model: Vec<String>,
    /// How it was made from them, `finetune` or `quantized`.
    pub base_model_relation: Option<String>,
    /// Datasets that it was trained on.
    pub datasets: Vec<String>,
    /// Languages.
    pub language: Vec<String>,
    /// Names of measures.
    pub metrics: Vec<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// The library that reads it.
    pub library_name: Option<String>,
    /// What it does.
    pub pipeline_tag: Option<String>,
    /// The whole front matter; every scalar is a text.
    pub front_matter: Map<String, Value>,
    /// The Markdown after it.
    #[serde(skip)]
    pub body: String,
}

/// Reads a card. One without front matter claims nothing.
///
/// # Errors
/// Every variant of [`CardError`].
pub fn read_card(text: &str) -> Result<CardClaims, CardError> {
    if text.len() > CARD_BYTES {
        let (got, limit) = (text.len(), CARD_BYTES);
        return Err(CardError::TooLong { got, limit });
    }
    let Some((yaml, body)) = split(text) else {
        return Ok(CardClaims {
            body: text.to_owned(),
            ..CardClaims::default()
        });
    };
    let front_matter = read_yaml(yaml)?;
    let texts = |name: &str| match front_matter.get(name) {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    };
    let text = |name: &str| front_matter.get(name).and_then(Value::as_str).map(str::to_owned);
    Ok(CardClaims {
        licence: texts("license"),
        base_model: texts("base_model"),
        base_model_relation: text("base_model_relation"),
        datasets: texts("datasets"),
        language: texts("language"),
        metrics: texts("metrics"),
        tags: texts("tags"),
        library_name: text("library_name"),
        pipeline_tag: text("pipeline_tag"),
        body: body.to_owned(),
        front_matter,
    })
}

/// The text between the first two lines of three dashes, where the first one begins the card, and what follows.
fn split(text: &str) -> Option<(&str, &str)> {
    let rest = text.trim_start_matches('\u{feff}').trim_start();
    let rest = rest.strip_prefix("---")?;
    let rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n'))?;
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "---" {
            return Some((&rest[..at], &rest[at + line.len()..]));
        }
        at += line.len();
    }
    None
}

/// A collection that is being read.
enum Open {
    List(Vec<Value>),
    Object(Map<String, Value>, Option<String>),
}

fn read_yaml(text: &str) -> Result<Map<String, Value>, CardError> {
    let mut open: Vec<Open> = Vec::new();
    let (mut whole, mut values) = (None, 0);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| CardError::Yaml {
            reason: error.to_string(),
        })?;
        let refused = |reason| CardError::Refused {
            line: span.start.line(),
            reason,
        };
        let done = match event {
            Event::Alias(_) => return Err(refused("aliases are not followed")),
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                return Err(refused("tags are not understood"));
            }
            Event::DocumentStart(_) if whole.is_some() => return Err(refused("a second document begins")),
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() == DEEPEST => {
                return Err(refused("it is nested too deeply"));
            }
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Object(Map::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(items)) => Value::Array(items),
                Some(Open::Object(members, _)) => Value::Object(members),
                None => continue,
            },
            Event::Scalar(text, ..) => Value::String(text.into_owned()),
            _ => continue,
        };
        values += 1;
        if values > MOST_VALUES {
            return Err(refused("it has too many values"));
        }
        match open.last_mut() {
            None => whole = Some(done),
            Some(Open::List(items)) => items.push(done),
            Some(Open::Object(members, name)) => match (name.take(), done) {
                (None, Value::String(text)) if members.contains_key(&text) => {
                    return Err(refused("a name is there twice"));
                }
                (None, Value::String(text)) => *name = Some(text),
                (None, _) => return Err(refused("a name is a list or an object")),
                (Some(name), value) => {
                    members.insert(name, value);
                }
            },
        }
    }
    match whole {
        Some(Value::Object(members)) => Ok(members),
        // Nothing but comments.
        None => Ok(Map::new()),
        Some(Value::String(text)) if text.is_empty() => Ok(Map::new()),
        Some(_) => Err(CardError::Refused {
            line: 1,
            reason: "it is no list of names and values",
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As the hub's cards are written.
    const CARD: &str = "---\nlicense: apache-2.0\nlanguage:\n- en\n- no\nbase_model: someone/base # a comment\n\
        datasets: [a/b, \"c/d\"]\nmodel-index:\n- name: x\n  results:\n  - task: {type: text-generation}\n    metrics:\n    \
        - type: accuracy\n      value: 0.5\ntext: >-\n  folded\n  lines\n---\n# Title\n---\nnot front matter\n";

    #[test]
    fn a_card_is_read_as_it_is_written() {
        let card = read_card(CARD).unwrap();
        assert_eq!(card.licence, ["apache-2.0"]);
        assert_eq!(card.language, ["en", "no"]);
        assert_eq!(card.base_model, ["someone/base"]);
        assert_eq!(card.datasets, ["a/b", "c/d"]);
        assert_eq!(
            card.front_matter["model-index"][0]["results"][0]["metrics"][0]["value"],
            "0.5"
        );
        assert_eq!(card.front_matter["text"], "folded lines");
        assert!(card.body.starts_with("# Title\n---\n"));
        assert_eq!(
            read_card(&CARD.replace('\n', "\r\n")).unwrap().datasets,
            card.datasets
        );
    }

    #[test]
    fn a_card_without_front_matter_claims_nothing() {
        for text in [
            "",
            "# Title\n",
            "---\nlicense: mit\n",
            "---\n---\nbody",
            "---\n# nothing\n---\n",
        ] {
            assert_eq!(read_card(text).unwrap().licence, Vec::<String>::new(), "{text:?}");
        }
    }

    #[test]
    fn front_matter_that_does_more_than_say_is_refused() {
        let deep = format!("a: {}", "[".repeat(40));
        let many = format!("a: [{}]", "x,".repeat(MOST_VALUES + 1));
        for (yaml, said) in [
            // The billion laughs begin with one.
            ("a: &x [lol]\nb: [*x, *x]", "aliases"),
            ("a: !!python/object/apply:os.system [id]", "tags"),
            ("a: !<tag:x> y", "tags"),
            ("a: 1\na: 2", "twice"),
            ("? [a]\n: 1", "a list or an object"),
            ("- a", "no list of names"),
            ("text", "no list of names"),
            ("a: [", "cannot be read"),
            ("a: b: c", "cannot be read"),
            (deep.as_str(), "too deeply"),
            (many.as_str(), "too many"),
        ] {
            let error = read_card(&format!("---\n{yaml}\n---\n")).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        assert!(matches!(
            read_card(&" ".repeat(CARD_BYTES + 1)),
            Err(CardError::TooLong { .. })
        ));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(---\n)?[-a:\\[\\]{}*&!|>'\"# \n\t,?%@`0]{0,200}(\n---\n)?.{0,40}") {
            let _ = read_card(&text);
        }
    }
}
