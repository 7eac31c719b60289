//! JSON-RPC errors as Ethereum clients expect them.
//!
//! Codes follow the JSON-RPC 2.0 specification and EIP-1474. A revert carries its data in `error.data` under code 3, as
//! go-ethereum answers: ethers, viem and cast decode custom errors from there.

use alloy_primitives::{Bytes, U256};
use alloy_sol_types::{Panic, Revert, SolError};
use serde::Serialize;

/// The request is not JSON.
pub(crate) const PARSE_ERROR: i32 = -32700;
/// The JSON is not a request.
pub(crate) const INVALID_REQUEST: i32 = -32600;
/// There is no such method, or it is not switched on.
pub(crate) const METHOD_NOT_FOUND: i32 = -32601;
/// The parameters do not fit the method.
pub(crate) const INVALID_PARAMS: i32 = -32602;
/// The server failed.
pub(crate) const INTERNAL_ERROR: i32 = -32603;
/// The chain refuses, in its own words.
pub(crate) const SERVER_ERROR: i32 = -32000;
/// What was asked for does not exist.
pub(crate) const NOT_FOUND: i32 = -32001;
/// The answer or the request is larger than this server allows (EIP-1474).
pub(crate) const LIMIT_EXCEEDED: i32 = -32005;
/// The EVM reverted.
pub(crate) const EXECUTION_REVERTED: i32 = 3;

/// The `error` member of a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub(crate) struct RpcError {
    /// What kind of failure, for programs.
    pub(crate) code: i32,
    /// What happened, for people; some clients match on go-ethereum's wording.
    pub(crate) message: String,
    /// Revert data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<Bytes>,
}

impl RpcError {
    pub(crate) fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    pub(crate) fn method_not_found(method: &str) -> Self {
        // Cut, so that an error is never much larger than the limits intend.
        let shown: String = method.chars().take(64).collect();
        Self::new(
            METHOD_NOT_FOUND,
            format!("the method {shown} does not exist/is not available"),
        )
    }

    pub(crate) fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Self::new(LIMIT_EXCEEDED, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(INTERNAL_ERROR, message)
    }

    /// The EVM reverted with `data`.
    pub(crate) fn reverted(data: Bytes) -> Self {
        let message = match revert_reason(&data) {
            Some(reason) => format!("execution reverted: {reason}"),
            None => "execution reverted".into(),
        };
        Self {
            code: EXECUTION_REVERTED,
            message,
            data: Some(data),
        }
    }
}

/// The text of `Error(string)` or the meaning of `Panic(uint256)`; absent for custom errors, which only their caller's
/// ABI can name.
fn revert_reason(data: &[u8]) -> Option<String> {
    if let Ok(revert) = Revert::abi_decode(data) {
        return Some(revert.reason);
    }
    let panic = Panic::abi_decode(data).ok()?;
    Some(format!(
        "panic: {} (0x{:02x})",
        panic_meaning(panic.code),
        panic.code
    ))
}

/// Solidity's panic codes, from its documentation on `Panic` via `assert`.
fn panic_meaning(code: U256) -> &'static str {
    match u8::try_from(code).unwrap_or(u8::MAX) {
        0x01 => "assert(false)",
        0x11 => "arithmetic underflow or overflow",
        0x12 => "division or modulo by zero",
        0x21 => "enum overflow",
        0x22 => "invalid encoded storage byte array accessed",
        0x31 => "out-of-bounds array access; popping on an empty array",
        0x32 => "out-of-bounds access of an array or bytesN",
        0x41 => "out of memory",
        0x51 => "uninitialized function",
        _ => "unknown panic code",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revert_with_a_reason_says_it_and_carries_the_data() {
        let data = Bytes::from(Revert::from("too late").abi_encode());
        let error = RpcError::reverted(data.clone());
        assert_eq!(error.code, 3);
        assert_eq!(error.message, "execution reverted: too late");
        assert_eq!(error.data, Some(data));
    }

    #[test]
    fn a_panic_is_explained() {
        let data = Bytes::from(
            Panic {
                code: U256::from(0x11),
            }
            .abi_encode(),
        );
        assert_eq!(
            RpcError::reverted(data).message,
            "execution reverted: panic: arithmetic underflow or overflow (0x11)"
        );
    }

    #[test]
    fn a_custom_error_is_left_to_the_callers_abi() {
        let error = RpcError::reverted(Bytes::from_static(&[1, 2, 3, 4]));
        assert_eq!(error.message, "execution reverted");
        assert_eq!(
            serde_json::to_string(&error).unwrap(),
            r#"{"code":3,"message":"execution reverted","data":"0x01020304"}"#
        );
    }
}
