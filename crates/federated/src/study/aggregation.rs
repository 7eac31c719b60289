//! `training.aggregation`: how updates become one, and how that one changes the model.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use crate::{rules::Rule, server_optimiser::Aggregation};

/// A rule's name, or a table of `rule` and its settings. The rule is one that combines updates, with `server` for
/// what the server then does, or one of the server's alone, which takes the exact mean.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct AggregationSetting {
    /// How updates become one; by the exact mean if absent.
    pub combination: Option<Rule>,
    /// How that one changes the model.
    pub server: Aggregation,
}

impl AggregationSetting {
    /// Whether each setting is in its range; otherwise the setting and the range.
    ///
    /// # Errors
    /// The setting's key and what is expected of it.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        self.combination.map_or(Ok(()), |rule| rule.check())?;
        self.server.check()
    }
}

impl<'de> Deserialize<'de> for AggregationSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = AggregationSetting;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rule's name, or a table with `rule` and its settings")
            }
            fn visit_str<E: de::Error>(self, rule: &str) -> Result<AggregationSetting, E> {
                named(rule)
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<AggregationSetting, A::Error> {
                let table = Map::<String, Value>::deserialize(de::value::MapAccessDeserializer::new(map))?;
                of_table(table)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

fn named<E: de::Error>(rule: &str) -> Result<AggregationSetting, E> {
    of_table(Map::from_iter([("rule".to_owned(), Value::from(rule))]))
}

fn of_table<E: de::Error>(mut table: Map<String, Value>) -> Result<AggregationSetting, E> {
    let combines = match table.get("rule").and_then(Value::as_str) {
        None => return Err(E::missing_field("rule")),
        Some(rule) if Rule::NAMES.contains(&rule) => true,
        Some("fedavg" | "fedadam" | "fedyogi" | "fedadagrad") => false,
        Some(rule) => {
            let known = Rule::NAMES.join(", ");
            return Err(E::custom(format!(
                "\"{rule}\" is no rule: fedavg, fedadam, fedyogi, fedadagrad, {known}"
            )));
        }
    };
    if !combines {
        return Ok(AggregationSetting {
            combination: None,
            server: Aggregation::deserialize(Value::Object(table)).map_err(E::custom)?,
        });
    }
    let server = match table.remove("server") {
        None => Aggregation::default(),
        Some(Value::String(rule)) => named(&rule)?.alone()?,
        Some(Value::Object(inner)) => of_table(inner)?.alone()?,
        Some(_) => return Err(E::custom("server: a rule's name or a table is expected")),
    };
    Ok(AggregationSetting {
        combination: Some(Rule::deserialize(Value::Object(table)).map_err(E::custom)?),
        server,
    })
}

impl AggregationSetting {
    fn alone<E: de::Error>(self) -> Result<Aggregation, E> {
        match self.combination {
            None => Ok(self.server),
            Some(rule) => Err(E::custom(format!(
                "server: {} is no step of a server",
                rule.name()
            ))),
        }
    }
}
