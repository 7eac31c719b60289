//! Rules every block keeps: Ethereum's Osaka fork, without blobs, withdrawals and execution requests.

use alloy_consensus::Header;
use alloy_eips::eip1559::BaseFeeParams;
use alloy_primitives::{Address, B256, U256};
use revm::context::{BlockEnv, CfgEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::primitives::hardfork::SpecId;

use super::{BlockInput, EmbeddedError};

/// Gas one transaction may use (EIP-7825).
pub(crate) const TRANSACTION_GAS_CAP: u64 = alloy_eips::eip7825::MAX_TX_GAS_LIMIT_OSAKA;

/// Gas of a transaction that runs no code.
pub(crate) const PAYMENT_GAS: u64 = 21_000;

/// Bytes of transactions in a block: the 8 MiB of EIP-7934 less room for the header.
pub(crate) const BLOCK_TRANSACTION_BYTES: usize = (8 << 20) - 4096;

/// Bytes of creation code (EIP-3860).
pub(crate) const INIT_CODE_BYTES: usize = 49_152;

/// Bytes of extra data.
pub(crate) const EXTRA_DATA_BYTES: usize = 32;

/// The fork.
pub(crate) const SPEC: SpecId = SpecId::OSAKA;

pub(crate) fn configuration(chain_id: u64) -> CfgEnv {
    CfgEnv::new_with_spec(SPEC).with_chain_id(chain_id)
}

/// Base fee of the block after this one (EIP-1559).
pub(crate) fn next_base_fee(parent: &Header) -> u64 {
    parent
        .next_block_base_fee(BaseFeeParams::ethereum())
        .unwrap_or_default()
}

/// The environment transactions of a block with this header see.
pub(crate) fn environment(header: &Header) -> BlockEnv {
    BlockEnv {
        number: U256::from(header.number),
        beneficiary: header.beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or_default(),
        prevrandao: Some(header.mix_hash),
        blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new_with_spec(0, SPEC)),
        ..BlockEnv::default()
    }
}

/// Header of the block after `parent`, as far as it does not follow from execution.
pub(crate) fn begin_header(
    parent: &Header,
    parent_hash: B256,
    input: &BlockInput,
) -> Result<Header, EmbeddedError> {
    if input.timestamp < parent.timestamp {
        return Err(EmbeddedError::InvalidBlock {
            what: format!(
                "timestamp {} is below the parent's {}",
                input.timestamp, parent.timestamp
            ),
        });
    }
    if input.extra_data.len() > EXTRA_DATA_BYTES {
        return Err(EmbeddedError::InvalidBlock {
            what: format!(
                "{} bytes of extra data, at most {EXTRA_DATA_BYTES} are allowed",
                input.extra_data.len()
            ),
        });
    }
    Ok(Header {
        parent_hash,
        number: parent.number + 1,
        timestamp: input.timestamp,
        beneficiary: input.beneficiary,
        gas_limit: input.gas_limit,
        mix_hash: input.prev_randao,
        parent_beacon_block_root: Some(input.parent_beacon_block_root),
        extra_data: input.extra_data.clone(),
        base_fee_per_gas: Some(next_base_fee(parent)),
        ..empty_header()
    })
}

/// The fields that are the same in every header.
pub(crate) fn empty_header() -> Header {
    Header {
        withdrawals_root: Some(alloy_consensus::constants::EMPTY_ROOT_HASH),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(alloy_eips::eip7685::EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}

/// Who is taken to call where nobody did.
pub(crate) const SYSTEM_ADDRESS: Address = alloy_eips::eip4788::SYSTEM_ADDRESS;
