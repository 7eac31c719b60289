//! Where output goes and what that allows: colour, shortened digests, ages.

use std::{
    env,
    io::{IsTerminal, stderr, stdout},
};

use anstyle::{AnsiColor, Style};

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Even to a pipe.
    Always,
    /// Nowhere.
    Never,
}

/// What a colour says. A word always stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Done, yes.
    Good,
    /// Wrong, no.
    Bad,
    /// Warned, unknown.
    Warn,
    /// What to type.
    Type,
    /// Headings.
    Strong,
    /// Less important.
    Faint,
    /// As it is.
    Plain,
}

/// A place output goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Surface {
    /// A person reads it: digests are shortened there.
    pub(crate) terminal: bool,
    /// Colour is wanted.
    pub(crate) color: bool,
}

impl Surface {
    /// A pipe or a file: everything in full, nothing coloured.
    #[cfg(test)]
    pub(crate) const PIPE: Self = Self {
        terminal: false,
        color: false,
    };

    /// Standard output as it is now.
    pub(crate) fn stdout(choice: ColorChoice) -> Self {
        Self::of(stdout().is_terminal(), choice)
    }

    /// Standard error as it is now.
    pub(crate) fn stderr(choice: ColorChoice) -> Self {
        Self::of(stderr().is_terminal(), choice)
    }

    fn of(terminal: bool, choice: ColorChoice) -> Self {
        let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|value| value == "dumb");
        let color = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => terminal && !plain,
        };
        Self { terminal, color }
    }

    /// `text` in the colour of `tone`, where colour is wanted.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.color || tone == Tone::Plain {
            return text.to_owned();
        }
        let style = match tone {
            Tone::Good => Style::new().fg_color(Some(AnsiColor::Green.into())),
            Tone::Bad => Style::new().fg_color(Some(AnsiColor::Red.into())).bold(),
            Tone::Warn => Style::new().fg_color(Some(AnsiColor::Yellow.into())),
            Tone::Type => Style::new().fg_color(Some(AnsiColor::Cyan.into())),
            Tone::Strong => Style::new().bold(),
            Tone::Faint => Style::new().dimmed(),
            Tone::Plain => Style::new(),
        };
        format!("{style}{text}{style:#}")
    }
}
