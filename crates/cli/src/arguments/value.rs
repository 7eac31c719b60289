//! Values of options, checked where they enter.

use std::{fmt, str::FromStr, time::Duration};

use crate::error::{CliError, Code};

/// A duration with its unit, `30s`, `5m`, `2h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) Duration);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let factor = match &text[digits.len()..] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "" => return Err(format!("a duration needs its unit, {text}s or {text}m")),
            unit => return Err(format!("\"{unit}\" is no unit of time: ms, s, m and h are")),
        };
        let number: u64 = digits
            .parse()
            .map_err(|_| "a duration is a whole number and a unit, 30s".to_owned())?;
        let millis = number.checked_mul(factor).ok_or("the duration is too long")?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

/// An amount of the chain's coin with its unit, `0.05eth`, `20gwei`, `1wei`; in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coins(pub(crate) u128);

impl FromStr for Coins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let decimals = match &text[number.len()..] {
            "eth" => 18,
            "gwei" => 9,
            "wei" => 0,
            "" => return Err(format!("an amount needs its unit, {text}eth")),
            unit => {
                return Err(format!(
                    "\"{unit}\" is no unit of the chain's coin: eth, gwei and wei are"
                ));
            }
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let is_plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_plain(whole) || !is_plain(fraction) || fraction.len() > decimals {
            return Err("an amount is a number with a point and a unit, 0.05eth".to_owned());
        }
        let digits = format!("{whole}{fraction:0<decimals$}");
        digits
            .parse()
            .map(Self)
            .map_err(|_| "the amount is too large".to_owned())
    }
}

impl fmt::Display for Coins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ETH: u128 = 1_000_000_000_000_000_000;
        let fraction = format!("{:018}", self.0 % ETH);
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{}eth", self.0 / ETH),
            fraction => write!(f, "{}.{fraction}eth", self.0 / ETH),
        }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) struct $name(pub(crate) String);

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if text.is_empty() {
                    return Err(format!("the name of a {} cannot be empty", $what));
                }
                Ok(Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// A key's name.
    KeyName, "key"
}
name! {
    /// A network's name, or the address of a node.
    NetworkName, "network"
}
name! {
    /// What people call a dataset, model or run: `name`, `name@2`, first digits of a digest, or a whole digest.
    ThingName, "thing"
}

/// Whether a text is 32 bytes in hexadecimal: a private key, whatever else it may be.
fn looks_secret(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Refuses an argument that looks like a private key, without repeating it. A digest carries the name of its
/// hash function, so nothing that cw prints is refused here.
///
/// # Errors
/// [`Code::SecretPasted`].
pub(super) fn refuse_secrets(arguments: &[String]) -> Result<(), CliError> {
    let slip = arguments.iter().skip(1).position(|argument| {
        let value = argument
            .split_once('=')
            .map_or(argument.as_str(), |(_, value)| value);
        looks_secret(value) || value.strip_prefix("--key=").is_some_and(looks_secret)
    });
    match slip {
        None => Ok(()),
        Some(place) => Err(
            CliError::new(Code::SecretPasted, "an argument looks like a private key")
                .fact("argument", format!("number {}, not repeated here", place + 1))
                .why("command lines stay in the shell's history and can be read by other programs")
                .fix("cw key import NAME reads a key from standard input; then use --key NAME"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_their_unit() {
        assert_eq!("30s".parse(), Ok(Seconds(Duration::from_secs(30))));
        assert_eq!("250ms".parse(), Ok(Seconds(Duration::from_millis(250))));
        assert!("30".parse::<Seconds>().unwrap_err().contains("30s"));
        assert!("s".parse::<Seconds>().is_err());
        assert!("5d".parse::<Seconds>().unwrap_err().contains("no unit"));
    }

    #[test]
    fn amounts_carry_their_unit_and_are_exact() {
        assert_eq!("0.05eth".parse(), Ok(Coins(50_000_000_000_000_000)));
        assert_eq!("20gwei".parse(), Ok(Coins(20_000_000_000)));
        assert_eq!("1wei".parse(), Ok(Coins(1)));
        for text in [
            "0.05",
            "5ether",
            "eth",
            "0.5wei",
            ".5eth",
            "-1eth",
            "1.5.5eth",
            &format!("{}eth", u128::MAX),
        ] {
            assert!(text.parse::<Coins>().is_err(), "{text}");
        }
        for wei in [0, 1, 10_u128.pow(18), 1_500_000_000_000_000_000, u128::MAX] {
            assert_eq!(Coins(wei).to_string().parse(), Ok(Coins(wei)));
        }
    }

    #[test]
    fn a_private_key_is_refused_and_not_repeated() {
        let key = "ab".repeat(32);
        for argument in [key.clone(), format!("0x{key}"), format!("--key={key}")] {
            let error = refuse_secrets(&["cw".to_owned(), "claim".to_owned(), argument]).unwrap_err();
            assert_eq!(error.code(), Code::SecretPasted);
            assert!(!error.to_json().to_string().contains(&key));
        }
        let digest = format!("blake3:{key}");
        assert!(refuse_secrets(&["cw".to_owned(), "verify".to_owned(), digest]).is_ok());
    }
}
