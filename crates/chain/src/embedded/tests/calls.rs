//! Calls, estimates and logs.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};

use super::*;
use crate::network::{At, Call, ChainError, Network, TransactionSigner};

impl TransactionSigner for DevelopmentAccount {
    fn address(&self) -> Address {
        self.signer.address()
    }

    fn sign_hash(&self, hash: B256) -> Result<alloy_primitives::Signature, ChainError> {
        alloy_signer::SignerSync::sign_hash_sync(&self.signer, &hash).map_err(|error| ChainError::Rejected {
            reason: error.to_string(),
        })
    }
}

#[test]
fn revert_data_comes_back() {
    let chain = chain();
    let reverter = chain
        .transact(
            &account(0),
            &Call {
                to: None,
                data: creation(&REVERTER),
                value: U256::ZERO,
            },
        )
        .unwrap();
    let call = Call {
        to: reverter.created,
        data: Bytes::from_static(&[1, 2, 3, 4]),
        value: U256::ZERO,
    };
    let from = account(0).address();
    for result in [
        Network::call(&chain, from, &call, At::Latest).map(drop),
        Network::estimate_gas(&chain, from, &call).map(drop),
        chain.transact(&account(0), &call).map(drop),
    ] {
        assert!(matches!(result, Err(ChainError::Reverted { data }) if data.as_ref() == [1, 2, 3, 4]));
    }
}

#[test]
fn an_exceptional_halt_is_told_from_a_revert() {
    let chain = chain();
    let created = chain
        .transact(
            &account(0),
            &Call {
                data: creation(&[0xfe]),
                ..Call::default()
            },
        )
        .unwrap()
        .created;
    let request = CallRequest {
        to: created,
        ..CallRequest::default()
    };
    let result = chain.simulate(&request, BlockTag::Latest).unwrap();
    assert_eq!(
        result.outcome,
        CallOutcome::Halted {
            reason: "invalid opcode: INVALID".to_owned()
        }
    );
}

#[test]
fn a_call_may_use_more_gas_than_a_transaction() {
    let request = CallRequest {
        // JUMPDEST, loop while more than 2^26 gas is left.
        input: alloy_primitives::hex!("5b6304000000 5a11 5f57 00")
            .to_vec()
            .into(),
        ..CallRequest::default()
    };
    let result = chain().simulate(&request, BlockTag::Latest).unwrap();
    assert!(matches!(result.outcome, CallOutcome::Success { .. }));
    assert!(result.gas_used > 16_777_216);
}

#[test]
fn an_estimate_is_enough_and_not_much_more() {
    let chain = chain();
    let setter = deploy_setter(&chain, &account(0));
    let call = Call {
        to: Some(setter),
        data: set(1, 1),
        value: U256::ZERO,
    };
    let gas = Network::estimate_gas(&chain, account(1).address(), &call).unwrap();
    let used = chain.transact(&account(1), &call).unwrap().gas_used;
    assert!(gas >= used && gas < used + used / 20, "{gas} for {used}");
    let payment = Call {
        to: Some(Address::repeat_byte(9)),
        value: U256::ONE,
        ..Call::default()
    };
    assert_eq!(
        Network::estimate_gas(&chain, account(1).address(), &payment).unwrap(),
        21_000
    );
}

#[test]
fn a_call_on_what_one_does_not_have_is_refused() {
    let request = CallRequest {
        from: Some(Address::repeat_byte(0x55)),
        to: Some(Address::repeat_byte(1)),
        value: U256::ONE,
        ..CallRequest::default()
    };
    let error = chain().simulate(&request, BlockTag::Latest).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("insufficient funds for gas * price + value"),
        "{error}"
    );
}

#[test]
fn overrides_hold_for_one_call_only() {
    let chain = chain();
    let poor = Address::repeat_byte(0x55);
    let request = CallRequest {
        from: Some(poor),
        to: Some(Address::repeat_byte(1)),
        value: U256::ONE,
        overrides: [(
            poor,
            AccountOverride {
                balance: Some(U256::ONE),
                ..AccountOverride::default()
            },
        )]
        .into(),
        ..CallRequest::default()
    };
    assert!(matches!(
        chain.simulate(&request, BlockTag::Latest).unwrap().outcome,
        CallOutcome::Success { .. }
    ));
    assert_eq!(chain.balance(poor, BlockTag::Latest).unwrap(), U256::ZERO);
}

#[test]
fn pending_calls_see_the_time_of_the_next_block() {
    let chain = chain();
    chain.mine().unwrap();
    let head = chain.head().header.timestamp;
    chain.set_next_timestamp(head + 777).unwrap();
    // TIMESTAMP, return it.
    let request = CallRequest {
        input: alloy_primitives::hex!("425f5260205ff3").to_vec().into(),
        ..CallRequest::default()
    };
    let time = |at| match chain.simulate(&request, at).unwrap().outcome {
        CallOutcome::Success { output, .. } => U256::from_be_slice(&output).to::<u64>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(time(BlockTag::Latest), head);
    assert_eq!(time(BlockTag::Pending), head + 777);
}

#[test]
fn logs_are_found_by_address_topic_and_range() {
    let chain = chain();
    let setter = deploy_setter(&chain, &account(0));
    for nonce in 1..8u64 {
        chain
            .submit(sign(
                &account(0),
                template(nonce, TxKind::Call(setter), set(nonce % 2, nonce)),
            ))
            .unwrap();
    }
    let all = LogFilter {
        to: u64::MAX,
        ..LogFilter::default()
    };
    assert_eq!(chain.logs(&all).unwrap().len(), 7);
    let of_slot = |slot: u64| LogFilter {
        topics: vec![vec![U256::from(slot).into()]],
        ..all.clone()
    };
    assert_eq!(chain.logs(&of_slot(0)).unwrap().len(), 3);
    assert_eq!(chain.logs(&of_slot(1)).unwrap().len(), 4);
    assert_eq!(chain.logs(&of_slot(9)).unwrap().len(), 0);
    let ranged = LogFilter {
        from: 3,
        to: 4,
        addresses: [setter].into(),
        ..LogFilter::default()
    };
    let found = chain.logs(&ranged).unwrap();
    assert_eq!(
        found.iter().map(|record| record.block_number).collect::<Vec<_>>(),
        [3, 4]
    );
    let elsewhere = LogFilter {
        addresses: [Address::ZERO].into(),
        ..all.clone()
    };
    assert_eq!(chain.logs(&elsewhere).unwrap().len(), 0);
    let backwards = LogFilter {
        from: 5,
        to: 2,
        ..LogFilter::default()
    };
    assert_eq!(chain.logs(&backwards).unwrap().len(), 0);
}

#[test]
fn a_log_query_is_bounded() {
    let config = Config {
        logs_per_query: 2,
        blocks_per_query: 4,
        ..Config::default()
    };
    let chain = EmbeddedChain::in_memory(Genesis::development(), config).unwrap();
    let setter = deploy_setter(&chain, &account(0));
    for nonce in 1..4u64 {
        chain
            .submit(sign(
                &account(0),
                template(nonce, TxKind::Call(setter), set(1, nonce)),
            ))
            .unwrap();
    }
    let query = |from, to| {
        chain.logs(&LogFilter {
            from,
            to,
            ..LogFilter::default()
        })
    };
    assert!(matches!(
        query(1, 4),
        Err(EmbeddedError::TooMany {
            what: "logs",
            limit: 2
        })
    ));
    assert!(matches!(
        query(0, 4),
        Err(EmbeddedError::TooMany {
            what: "blocks",
            limit: 4
        })
    ));
    assert_eq!(query(2, 3).unwrap().len(), 2);
}

#[test]
fn every_thread_sends_from_one_account_without_a_clash() {
    let chain = chain();
    std::thread::scope(|scope| {
        for at in 0..4 {
            let chain = chain.clone();
            scope.spawn(move || {
                for _ in 0..10 {
                    let call = Call {
                        to: Some(Address::repeat_byte(at)),
                        value: U256::ONE,
                        ..Call::default()
                    };
                    chain.transact(&account(3), &call).unwrap();
                }
            });
        }
    });
    assert_eq!(Network::nonce(&chain, account(3).address()).unwrap(), 40);
    chain.check().unwrap();
}
