//! Who may hand in decisions: whoever has a bearer token (RFC 6750).
//!
//! Kept and compared are digests: how far a wrong token agrees with a right one does not show in how long the answer takes.

use counterweight_primitives::Sha256Digest;

/// Shortest token: 16 characters of base64 are 96 bits.
const SHORTEST: usize = 16;

/// Longest token.
const LONGEST: usize = 512;

/// Why a list of tokens is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// A line is no token.
    #[error("line {line} is no token: it has {got} bytes, {SHORTEST} to {LONGEST} visible ones are expected")]
    Token {
        /// Counted from 1.
        line: usize,
        /// Its length.
        got: usize,
    },
    /// There is no token, which would let nobody in.
    #[error("there is no token")]
    Empty,
}

/// Who may hand in decisions.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Digests of the tokens; none where anybody may.
    tokens: Option<Vec<Sha256Digest>>,
}

impl Access {
    /// Anybody who reaches the server.
    #[must_use]
    pub fn open() -> Self {
        Self::default()
    }

    /// Whoever has a token of a list, one a line; empty lines and lines that begin with `#` mean nothing.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn tokens(list: &str) -> Result<Self, AccessError> {
        let mut tokens = Vec::new();
        for (line, text) in list.lines().enumerate() {
            let token = text.trim();
            if token.is_empty() || token.starts_with('#') {
                continue;
            }
            let is_plain = token.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_plain || !(SHORTEST..=LONGEST).contains(&token.len()) {
                return Err(AccessError::Token {
                    line: line + 1,
                    got: token.len(),
                });
            }
            tokens.push(Sha256Digest::of(token.as_bytes()));
        }
        if tokens.is_empty() {
            return Err(AccessError::Empty);
        }
        Ok(Self { tokens: Some(tokens) })
    }

    /// Whether a request with this `Authorization` may hand in decisions.
    #[must_use]
    pub fn allows(&self, authorization: Option<&str>) -> bool {
        let Some(tokens) = &self.tokens else {
            return true;
        };
        let token = authorization.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        token.is_some_and(|token| tokens.contains(&Sha256Digest::of(token.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "correct-horse-battery";

    #[test]
    fn only_a_listed_token_is_let_in() {
        let access = Access::tokens(&format!("# staff\n\n{TOKEN}\nanother-token-of-ours\n")).unwrap();
        assert!(access.allows(Some(&format!("Bearer {TOKEN}"))));
        assert!(access.allows(Some("bearer another-token-of-ours")));
        for other in [
            "Bearer",
            "Bearer ",
            "Basic correct-horse-battery",
            "correct-horse-battery",
            "Bearer correct-horse",
        ] {
            assert!(!access.allows(Some(other)), "{other}");
        }
        assert!(!access.allows(None));
        assert!(Access::open().allows(None));
    }

    #[test]
    fn a_list_that_lets_nobody_in_or_is_guessed_is_refused() {
        assert_eq!(Access::tokens("# none\n").unwrap_err(), AccessError::Empty);
        let short = AccessError::Token { line: 2, got: 6 };
        assert_eq!(Access::tokens(&format!("{TOKEN}\nsecret\n")).unwrap_err(), short);
        assert!(Access::tokens("a token with spaces in it").is_err());
    }
}
