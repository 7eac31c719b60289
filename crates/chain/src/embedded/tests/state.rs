//! Past state, and what is kept when a chain is closed.

use alloy_primitives::{Address, B256, TxKind, U256};

use super::*;

#[test]
fn past_state_is_read_as_it_was() {
    let chain = chain();
    let setter = deploy_setter(&chain, &account(0));
    for nonce in 1..6u64 {
        let value = if nonce == 3 { 0 } else { nonce };
        chain
            .submit(sign(
                &account(0),
                template(nonce, TxKind::Call(setter), set(5, value)),
            ))
            .unwrap();
    }
    let slot = |at| {
        U256::from_be_bytes(
            chain
                .storage(setter, U256::from(5), BlockTag::Number(at))
                .unwrap()
                .0,
        )
    };
    assert_eq!(
        (0..=6).map(slot).collect::<Vec<_>>(),
        [0, 0, 1, 2, 0, 4, 5].map(U256::from)
    );
    let nonce = |at| chain.nonce(account(0).address(), BlockTag::Number(at)).unwrap();
    assert_eq!((0..=6).map(nonce).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
    assert!(chain.code(setter, BlockTag::Number(0)).unwrap().is_empty());
    assert_eq!(chain.code(setter, BlockTag::Number(1)).unwrap().as_ref(), SETTER);
    assert!(matches!(
        chain.balance(setter, BlockTag::Number(7)),
        Err(EmbeddedError::UnknownBlock { .. })
    ));
}

#[test]
fn old_state_goes_where_only_so_much_is_kept() {
    let config = Config {
        history_blocks: Some(3),
        ..Config::default()
    };
    let chain = EmbeddedChain::in_memory(Genesis::development(), config).unwrap();
    let setter = deploy_setter(&chain, &account(0));
    for nonce in 1..10u64 {
        chain
            .submit(sign(
                &account(0),
                template(nonce, TxKind::Call(setter), set(5, nonce)),
            ))
            .unwrap();
    }
    assert_eq!(chain.head().number(), 10);
    let slot = |at| chain.storage(setter, U256::from(5), BlockTag::Number(at));
    for at in 7..=10 {
        assert_eq!(U256::from_be_bytes(slot(at).unwrap().0), U256::from(at - 1));
    }
    assert!(matches!(
        slot(6),
        Err(EmbeddedError::StateMissing { number: 6, oldest: 7 })
    ));
    chain.check().unwrap();
}

#[test]
fn a_chain_goes_on_where_it_was_left() {
    let directory = tempfile::tempdir().unwrap();
    let open = || EmbeddedChain::open(directory.path(), Genesis::development(), Config::default());
    let chain = open().unwrap();
    let hash = chain
        .submit(payment(&account(0), 0, Address::repeat_byte(1), 5))
        .unwrap();
    chain.increase_time(100_000);
    chain.mine().unwrap();
    let head = chain.head();
    drop(chain);
    let chain = open().unwrap();
    assert_eq!(*chain.head(), *head);
    assert_eq!(chain.transaction(hash).unwrap().unwrap().block.number(), 1);
    chain
        .submit(payment(&account(0), 1, Address::repeat_byte(1), 5))
        .unwrap();
    assert!(chain.head().header.timestamp >= head.header.timestamp);
    chain.check().unwrap();
}

#[test]
fn a_directory_in_use_or_of_another_chain_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let open = |genesis| EmbeddedChain::open(directory.path(), genesis, Config::default());
    let chain = open(Genesis::development()).unwrap();
    assert!(matches!(
        open(Genesis::development()),
        Err(EmbeddedError::Locked { .. })
    ));
    drop(chain);
    let other = Genesis {
        timestamp: 1,
        ..Genesis::development()
    };
    assert!(matches!(open(other), Err(EmbeddedError::GenesisMismatch { .. })));
    let other = Genesis {
        chain_id: 5,
        ..Genesis::development()
    };
    assert!(matches!(open(other), Err(EmbeddedError::GenesisMismatch { .. })));
    open(Genesis::development()).unwrap();
}

#[test]
fn contracts_that_destroy_themselves_at_once_leave_nothing() {
    let chain = chain();
    // Creation code that writes slot 1 and destroys itself towards address zero.
    let input = alloy_primitives::hex!("60016001555fff").to_vec().into();
    chain
        .submit(sign(&account(0), template(0, TxKind::Create, input)))
        .unwrap();
    let gone = account(0).address().create(0);
    assert!(chain.head().receipts[0].succeeded);
    assert_eq!(chain.nonce(gone, BlockTag::Latest).unwrap(), 0);
    assert_eq!(
        chain.storage(gone, U256::ONE, BlockTag::Latest).unwrap(),
        B256::ZERO
    );
    chain.check().unwrap();
}

#[test]
fn many_fresh_slots_in_few_blocks_keep_the_root_right() {
    let genesis = Genesis {
        gas_limit: 5_000_000,
        ..Genesis::development()
    };
    let chain = EmbeddedChain::in_memory(genesis, Config::default()).unwrap();
    let setter = deploy_setter(&chain, &account(9));
    let batch = (0..600u64)
        .map(|at| {
            let transaction = template(at / 6, TxKind::Call(setter), set(at, at + 1));
            sign(
                &account((at % 6) as u32),
                alloy_consensus::TxEip1559 {
                    gas_limit: 60_000,
                    ..transaction
                },
            )
        })
        .collect();
    assert!(chain.submit_batch(batch).iter().all(Result::is_ok));
    assert!(chain.head().number() < 12);
    chain.check().unwrap();
}
