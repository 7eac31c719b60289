//! Help for the whole command, grouped by what people come for.

use clap::CommandFactory as _;

use super::Arguments;

/// Commands by what people come for. A test holds that each command is in exactly one group.
const GROUPS: &[(&str, &[&str])] = &[
    ("Train", &["new", "train", "run", "model"]),
    ("Lend data", &["dataset", "consent", "member", "claim"]),
    (
        "Ask and prove",
        &["infer", "prove", "proof", "dispute", "decision", "c2pa"],
    ),
    (
        "Check",
        &["verify", "audit", "log", "status", "doctor", "explain"],
    ),
    ("Operate", &["node", "network", "key", "completions"]),
];

/// The definition of the command line, with grouped help.
pub(crate) fn command() -> clap::Command {
    let command = Arguments::command();
    let mut groups = String::new();
    for (title, names) in GROUPS {
        groups.push_str(&format!("\n{title}:\n"));
        for name in *names {
            let about = command
                .find_subcommand(name)
                .and_then(clap::Command::get_about)
                .map(ToString::to_string)
                .unwrap_or_default();
            groups.push_str(&format!("  {name:<12} {about}\n"));
        }
    }
    command
        .help_template(format!(
            "{{about}}\n\n{{usage-heading}} {{usage}}\n{groups}\nOptions:\n{{options}}\n"
        ))
        .override_usage("cw COMMAND [OPTIONS]")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        command().debug_assert();
    }

    #[test]
    fn every_command_is_in_one_group() {
        let grouped: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, names)| names.iter().copied())
            .collect();
        let defined: BTreeSet<String> = command()
            .get_subcommands()
            .map(|command| command.get_name().to_owned())
            .collect();
        assert_eq!(grouped.len(), defined.len());
        assert_eq!(
            grouped.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(),
            defined
        );
    }
}
