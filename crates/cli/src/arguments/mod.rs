//! The command line: one definition from which parsing, help and completions come.

mod help;
mod parse;
mod value;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use help::command;
pub(crate) use parse::{Parsed, parse};
pub(crate) use value::{Coins, KeyName, NetworkName, Seconds, ThingName};

use crate::{commands, output::ColorChoice};

/// Train, prove, trade and govern AI together on any EVM chain.
#[derive(Debug, Parser)]
#[command(
    name = "cw",
    version,
    disable_help_subcommand = false,
    subcommand_required = false,
    max_term_width = 100
)]
pub(crate) struct Arguments {
    /// Options that mean the same everywhere.
    #[command(flatten)]
    pub(crate) global: Global,

    /// What to do; without one, where things stand.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Options that mean the same everywhere.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options that mean the same everywhere")]
pub(crate) struct Global {
    /// Print the result as one JSON document
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Print names only, and nothing but warnings besides
    #[arg(short, long, global = true, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Say more about what is being done
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,

    /// When to colour
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        hide_possible_values = false
    )]
    pub(crate) color: ColorChoice,

    /// Folder of the project [default: the nearest one with a counterweight.toml]
    #[arg(long, global = true, value_name = "DIR", env = "CW_PROJECT", hide_env = true)]
    pub(crate) project: Option<PathBuf>,

    /// Network to use: a name of `cw network list`, or the address of a node
    #[arg(long, global = true, value_name = "NAME", env = "CW_NETWORK", hide_env = true)]
    pub(crate) network: Option<NetworkName>,

    /// Key to sign with: a name of `cw key list`
    #[arg(long, global = true, value_name = "NAME", env = "CW_KEY", hide_env = true)]
    pub(crate) key: Option<KeyName>,

    /// Profile of the configuration to apply
    #[arg(long, global = true, value_name = "NAME", env = "CW_PROFILE", hide_env = true)]
    pub(crate) profile: Option<String>,

    /// Show what would be done, by whom and at what cost; send nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,

    /// Answer every question with yes
    #[arg(short, long, global = true)]
    pub(crate) yes: bool,

    /// How long to wait for a chain, a coordinator or a member, with its unit: 30s, 5m
    #[arg(long, global = true, value_name = "TIME")]
    pub(crate) timeout: Option<Seconds>,

    /// Seed of everything that is left to chance
    #[arg(long, global = true, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

/// What can be done. The order here is the order of help inside a group.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a project from a template
    New(commands::new::Arguments),
    /// Train the project's model with its members
    Train(commands::train::Arguments),
    /// Look at training runs
    #[command(subcommand)]
    Run(commands::run::Command),
    /// Look at models, import networks, publish what answers will be proven with
    #[command(subcommand)]
    Model(commands::model::Command),
    /// Add datasets to the project, look at them, publish them
    #[command(subcommand)]
    Dataset(commands::dataset::Command),
    /// Say what a dataset may be used for
    #[command(subcommand)]
    Consent(commands::consent::Command),
    /// Take part in someone else's study with data that stays here
    #[command(subcommand)]
    Member(commands::member::Command),
    /// Collect what was earned
    Claim(commands::claim::Arguments),
    /// Ask a network
    Infer(commands::infer::Arguments),
    /// Ask a network and prove that the answer is its own
    Prove(commands::prove::Arguments),
    /// Look at proofs and at what they rest on
    #[command(subcommand)]
    Proof(commands::proof::Command),
    /// Claim answers with a bond, challenge them, play either side of a challenge
    #[command(subcommand)]
    Dispute(commands::dispute::Command),
    /// Recompute a claim from public data and answer yes, no or unknown
    #[command(subcommand)]
    Verify(commands::verify::Command),
    /// Record decisions of models, prove them, show chosen fields, erase people
    #[command(subcommand)]
    Decision(commands::decision::Command),
    /// Mark generated pictures, sounds and films with the model that made them, and check such marks
    #[command(name = "c2pa", subcommand)]
    C2pa(commands::c2pa::Command),
    /// Hand someone everything they need to check a claim
    #[command(subcommand)]
    Audit(commands::audit::Command),
    /// Append to logs, prove what they hold, check, serve and witness them
    #[command(subcommand)]
    Log(commands::log::Command),
    /// Show where the project stands
    Status,
    /// Check that everything needed is there
    Doctor,
    /// Explain an error code
    Explain(commands::explain::Arguments),
    /// Run a chain that other programs can talk to
    #[command(subcommand)]
    Node(commands::node::Command),
    /// Choose the chain to work on
    #[command(subcommand)]
    Network(commands::network::Command),
    /// Make, list and import keys
    #[command(subcommand)]
    Key(commands::key::Command),
    /// Print the completion script of a shell
    Completions(commands::completions::Arguments),
}
