//! What blocks hold and which rules they keep.

use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_eips::eip1559::BaseFeeParams;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};

use super::*;

#[test]
fn a_transaction_is_in_a_block_when_submit_returns() {
    let chain = chain();
    let to = Address::repeat_byte(7);
    let hash = chain.submit(payment(&account(0), 0, to, 5)).unwrap();
    let place = chain.transaction(hash).unwrap().unwrap();
    assert_eq!((place.block.number(), place.index), (1, 0));
    assert_eq!(place.block.senders, [account(0).address()]);
    assert_eq!(chain.balance(to, BlockTag::Latest).unwrap(), U256::from(5));
    assert_eq!(chain.head().hash(), place.block.hash());
    chain.check().unwrap();
}

#[test]
fn blocks_link_and_their_roots_hold() {
    let chain = chain();
    let setter = deploy_setter(&chain, &account(0));
    for nonce in 1..12u64 {
        // Writes, overwrites and clears.
        let input = set(nonce % 4, (nonce % 3) * nonce);
        chain
            .submit(sign(&account(0), template(nonce, TxKind::Call(setter), input)))
            .unwrap();
        chain.check().unwrap();
    }
    let head = chain.head();
    assert_eq!(head.number(), 12);
    let parent = chain.block(BlockTag::Number(11)).unwrap().unwrap();
    assert_eq!(head.header.parent_hash, parent.hash());
    assert_eq!(
        head.header.base_fee_per_gas,
        parent.header.next_block_base_fee(BaseFeeParams::ethereum())
    );
    assert!(head.header.timestamp >= parent.header.timestamp);
    assert_eq!(
        head.header.requests_hash,
        Some(alloy_eips::eip7685::EMPTY_REQUESTS_HASH)
    );
    assert_eq!(head.header.withdrawals_root, Some(EMPTY_ROOT_HASH));
}

#[test]
fn the_same_input_gives_the_same_block_everywhere() {
    let (one, other) = (manual(), manual());
    let transactions = vec![
        payment(&account(0), 0, Address::repeat_byte(1), 1),
        Bytes::from_static(b"nothing"),
        // Its nonce is ahead, so it cannot be included.
        payment(&account(1), 5, Address::repeat_byte(2), 1),
        sign(&account(2), template(0, TxKind::Create, creation(&SETTER))),
    ];
    let input = BlockInput {
        timestamp: one.head().header.timestamp + 12,
        beneficiary: Address::repeat_byte(9),
        gas_limit: 30_000_000,
        prev_randao: B256::repeat_byte(3),
        parent_beacon_block_root: B256::repeat_byte(4),
        extra_data: Bytes::from_static(b"hello"),
        transactions,
    };
    let AppliedBlock { block, skipped } = one.apply(&input).unwrap();
    assert_eq!(
        other.apply(&input).unwrap(),
        AppliedBlock {
            block: block.clone(),
            skipped: skipped.clone()
        }
    );
    assert_eq!(block.transactions.len(), 2);
    assert_eq!(skipped.len(), 2);
    assert!(
        skipped
            .iter()
            .any(|skipped| skipped.reason.contains("nonce too high"))
    );
    one.check().unwrap();
}

#[test]
fn a_block_before_its_parent_is_refused() {
    let chain = manual();
    let head = chain.head();
    let input = BlockInput {
        timestamp: head.header.timestamp - 1,
        beneficiary: Address::ZERO,
        gas_limit: 30_000_000,
        prev_randao: B256::ZERO,
        parent_beacon_block_root: B256::ZERO,
        extra_data: Bytes::new(),
        transactions: Vec::new(),
    };
    assert!(matches!(
        chain.apply(&input),
        Err(EmbeddedError::InvalidBlock { .. })
    ));
    let input = BlockInput {
        timestamp: head.header.timestamp,
        extra_data: vec![0; 33].into(),
        ..input
    };
    assert!(matches!(
        chain.apply(&input),
        Err(EmbeddedError::InvalidBlock { .. })
    ));
}

#[test]
fn empty_blocks_are_made_only_when_asked_and_let_the_base_fee_decay() {
    let chain = chain();
    let before = chain.next_base_fee();
    assert_eq!(chain.submit_batch(Vec::new()).len(), 0);
    assert_eq!(chain.head().number(), 0);
    for _ in 0..5 {
        chain.mine().unwrap();
    }
    assert_eq!(chain.head().number(), 5);
    assert!(chain.next_base_fee() < before);
    chain.check().unwrap();
}

#[test]
fn a_batch_fills_blocks_to_the_gas_limit() {
    let genesis = Genesis {
        gas_limit: 1_000_000,
        ..Genesis::development()
    };
    let chain = EmbeddedChain::in_memory(genesis, Config::default()).unwrap();
    let batch: Vec<_> = (0..300u64)
        .map(|at| {
            payment(
                &account((at % 10) as u32),
                at / 10,
                Address::with_last_byte(at as u8),
                1,
            )
        })
        .collect();
    assert!(chain.submit_batch(batch).iter().all(Result::is_ok));
    // 47 payments of 21,000 gas fit a block.
    assert_eq!(chain.head().number(), 300u64.div_ceil(47));
    assert_eq!(chain.pool_size(), (0, 0));
    chain.check().unwrap();
}

#[test]
fn time_moves_ahead_as_told_and_never_back() {
    let chain = chain();
    chain.mine().unwrap();
    let now = chain.head().header.timestamp;
    chain.increase_time(1_000);
    assert!(chain.mine().unwrap().header.timestamp >= now + 1_000);
    let set = now + 5_000;
    chain.set_next_timestamp(set).unwrap();
    assert_eq!(chain.next_timestamp(), set);
    assert_eq!(chain.mine().unwrap().header.timestamp, set);
    assert!(chain.mine().unwrap().header.timestamp >= set);
    assert!(matches!(
        chain.set_next_timestamp(now),
        Err(EmbeddedError::TimestampTooLow { .. })
    ));
}

#[test]
fn hashes_of_past_blocks_can_be_read_by_contracts() {
    let chain = chain();
    chain.mine().unwrap();
    let wanted = chain.mine().unwrap();
    chain.mine().unwrap();
    let request = CallRequest {
        to: Some(alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS),
        input: U256::from(wanted.number()).to_be_bytes::<32>().into(),
        ..CallRequest::default()
    };
    let outcome = chain.simulate(&request, BlockTag::Latest).unwrap().outcome;
    assert!(
        matches!(outcome, CallOutcome::Success { output, .. } if output.as_ref() == wanted.hash().as_slice())
    );
}

#[test]
fn an_interval_makes_blocks_by_itself() {
    let config = Config {
        mining: Mining::Interval(std::time::Duration::from_millis(5)),
        ..Config::default()
    };
    let chain = EmbeddedChain::in_memory(Genesis::development(), config).unwrap();
    let mut blocks = chain.subscribe();
    chain
        .submit(payment(&account(0), 0, Address::repeat_byte(1), 1))
        .unwrap();
    loop {
        if !blocks.blocking_recv().unwrap().transactions.is_empty() {
            return;
        }
    }
}
