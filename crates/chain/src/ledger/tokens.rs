//! ERC-20 tokens: what they are called, who holds them, and who may take them.

use alloy_primitives::U256;
use counterweight_primitives::{Address, Amount};
use counterweight_provenance::ledger::LedgerError;

use super::{ContractLedger, Failure};
use crate::address::to_evm;
use crate::contracts::{IDevelopmentToken, IERC20};

/// What a token says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenDescription {
    /// Its short name, at most 32 printable characters. Anybody's token may claim any.
    pub symbol: String,
    /// Digits after the decimal point.
    pub decimals: u8,
}

impl<S> ContractLedger<S> {
    /// What a token says of itself.
    ///
    /// # Errors
    /// [`LedgerError`]; so for all below.
    pub fn token(&self, token: Address) -> Result<TokenDescription, LedgerError> {
        let symbol = self.ask(token, &IERC20::symbolCall {})?;
        let decimals = self.ask(token, &IERC20::decimalsCall {})?;
        let symbol = symbol.chars().filter(|c| !c.is_control()).take(32).collect();
        Ok(TokenDescription { symbol, decimals })
    }

    /// What an account holds of a token; all of 2^128 - 1 where it holds more.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn token_balance(&self, token: Address, account: Address) -> Result<Amount, LedgerError> {
        let call = IERC20::balanceOfCall {
            account: to_evm(account),
        };
        Ok(Amount(
            u128::try_from(self.ask(token, &call)?).unwrap_or(u128::MAX),
        ))
    }
}

impl ContractLedger {
    /// Makes development tokens, which are worth nothing, for an account. Only the account that deployed them may.
    ///
    /// # Errors
    /// [`LedgerError::Refused`] on a chain without them; so for all below.
    pub fn mint_development_tokens(&self, to: Address, amount: Amount) -> Result<(), LedgerError> {
        let token = self
            .deployment
            .development_token
            .ok_or_else(|| LedgerError::Refused {
                name: "NoDevelopmentToken".to_owned(),
                reason: format!("chain {} has no development token", self.deployment.chain_id),
            })?;
        let call = IDevelopmentToken::mintCall {
            to: to_evm(to),
            value: U256::from(amount.0),
        };
        self.send(token, &call)?;
        Ok(())
    }

    /// Sends tokens of this account to another.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn transfer_tokens(&self, token: Address, to: Address, amount: Amount) -> Result<(), LedgerError> {
        self.send(
            token,
            &IERC20::transferCall {
                to: to_evm(to),
                value: U256::from(amount.0),
            },
        )?;
        Ok(())
    }

    /// Lets `spender` take `amount`, unless it may already. No more than that: what a contract may take without
    /// end, a mistake in it takes too.
    pub(super) fn approve(&self, token: Address, spender: Address, amount: Amount) -> Result<(), Failure> {
        let needed = U256::from(amount.0);
        let (owner, spender) = (to_evm(self.account()), to_evm(spender));
        if needed.is_zero() {
            return Ok(());
        }
        let allowed = self.ask(token, &IERC20::allowanceCall { owner, spender })?;
        if allowed >= needed {
            return Ok(());
        }
        // Some tokens refuse to change one allowance into another.
        if !allowed.is_zero() {
            self.send(
                token,
                &IERC20::approveCall {
                    spender,
                    value: U256::ZERO,
                },
            )?;
        }
        self.send(
            token,
            &IERC20::approveCall {
                spender,
                value: needed,
            },
        )?;
        Ok(())
    }
}
