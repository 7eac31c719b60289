//! Addresses as the domain crates write them and as the EVM crates do.

use counterweight_primitives::Address;

/// For the EVM crates.
#[must_use]
pub fn to_evm(address: Address) -> alloy_primitives::Address {
    address.0.into()
}

/// From the EVM crates.
#[must_use]
pub fn from_evm(address: alloy_primitives::Address) -> Address {
    Address(address.into_array())
}
