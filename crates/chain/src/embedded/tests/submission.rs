//! What the pool takes and refuses.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, Bytes, TxKind, U256};
use alloy_signer::SignerSync;

use super::*;

const TO: TxKind = TxKind::Call(Address::repeat_byte(7));

fn words(chain: &EmbeddedChain, raw: Bytes) -> String {
    chain.submit(raw).unwrap_err().to_string()
}

#[test]
fn refusals_are_in_geths_words() {
    let chain = chain();
    let from = account(0);
    chain
        .submit(payment(&from, 0, Address::repeat_byte(1), 1))
        .unwrap();
    let base = || template(1, TO, Bytes::new());
    let cases = [
        (
            payment(&from, 0, Address::repeat_byte(1), 1),
            "nonce too low: next nonce 1, tx nonce 0",
        ),
        (
            sign(
                &from,
                TxEip1559 {
                    value: U256::MAX,
                    ..base()
                },
            ),
            "insufficient funds for gas * price + value",
        ),
        (
            sign(
                &from,
                TxEip1559 {
                    chain_id: 1,
                    ..base()
                },
            ),
            "invalid chain id for signer: have 1 want 31337",
        ),
        (
            sign(
                &from,
                TxEip1559 {
                    gas_limit: 20_999,
                    ..base()
                },
            ),
            "intrinsic gas too low: have 20999, want 21000",
        ),
        (
            sign(
                &from,
                TxEip1559 {
                    gas_limit: 60_000_001,
                    ..base()
                },
            ),
            "exceeds block gas limit",
        ),
        (
            sign(
                &from,
                TxEip1559 {
                    gas_limit: 16_777_217,
                    ..base()
                },
            ),
            "transaction gas limit too high",
        ),
        (
            sign(
                &from,
                TxEip1559 {
                    max_fee_per_gas: 5,
                    ..base()
                },
            ),
            "max priority fee per gas higher than max fee per gas",
        ),
        (
            sign(
                &from,
                TxEip1559 {
                    max_fee_per_gas: 5,
                    max_priority_fee_per_gas: 0,
                    ..base()
                },
            ),
            "max fee per gas less than block base fee",
        ),
        (
            sign(
                &from,
                TxEip1559 {
                    to: TxKind::Create,
                    input: vec![0; 49_153].into(),
                    gas_limit: 5_000_000,
                    ..base()
                },
            ),
            "max initcode size exceeded: code size 49153, limit 49152",
        ),
        (Bytes::from(vec![2; 200_000]), "oversized data"),
        (
            Bytes::from_static(&[3, 0xc0]),
            "transaction type not supported: blob transactions (EIP-4844)",
        ),
        (Bytes::from_static(&[0x7f, 1]), "rlp: "),
        (Bytes::new(), "rlp: "),
    ];
    for (raw, expected) in cases {
        let got = words(&chain, raw);
        assert!(got.starts_with(expected), "{got:?} instead of {expected:?}");
    }
    let mut truncated = payment(&from, 1, Address::repeat_byte(1), 1).to_vec();
    truncated.pop();
    assert!(words(&chain, truncated.into()).starts_with("rlp: "));
    let mut trailing = payment(&from, 1, Address::repeat_byte(1), 1).to_vec();
    trailing.push(0);
    assert!(words(&chain, trailing.into()).starts_with("rlp: "));
    assert_eq!(chain.head().number(), 1);
}

#[test]
fn legacy_transactions_with_and_without_a_chain_id_are_taken() {
    let chain = chain();
    for (nonce, chain_id) in [(0, Some(DEVELOPMENT_CHAIN_ID)), (1, None)] {
        let transaction = TxLegacy {
            chain_id,
            nonce,
            gas_price: 10_000_000_000,
            gas_limit: 21_000,
            to: TO,
            value: U256::ONE,
            input: Bytes::new(),
        };
        let signature = account(0)
            .signer
            .sign_hash_sync(&transaction.signature_hash())
            .unwrap();
        let signed: TxEnvelope = transaction.into_signed(signature).into();
        chain.submit(signed.encoded_2718().into()).unwrap();
    }
    assert_eq!(chain.nonce(account(0).address(), BlockTag::Latest).unwrap(), 2);
}

#[test]
fn a_gap_waits_until_it_is_filled() {
    let chain = chain();
    let from = account(0);
    let later = chain
        .submit(payment(&from, 1, Address::repeat_byte(1), 1))
        .unwrap();
    assert_eq!(chain.head().number(), 0);
    assert_eq!(chain.pool_size(), (0, 1));
    assert!(chain.pooled(later).is_some());
    assert_eq!(chain.nonce(from.address(), BlockTag::Pending).unwrap(), 0);
    chain
        .submit(payment(&from, 0, Address::repeat_byte(1), 1))
        .unwrap();
    assert_eq!(chain.head().transactions.len(), 2);
    assert_eq!(chain.pool_size(), (0, 0));
}

#[test]
fn only_so_many_wait_for_an_earlier_nonce() {
    let config = Config {
        pool_queued_per_account: 2,
        pool_transactions: 4,
        ..Config::default()
    };
    let chain = EmbeddedChain::in_memory(Genesis::development(), config).unwrap();
    let send = |from, nonce| chain.submit(payment(&account(from), nonce, Address::repeat_byte(1), 1));
    send(0, 5).unwrap();
    send(0, 7).unwrap();
    assert!(matches!(
        send(0, 9),
        Err(SubmitError::NonceTooHigh {
            tx: 9,
            state: 0,
            limit: 2
        })
    ));
    send(1, 5).unwrap();
    send(1, 7).unwrap();
    assert!(matches!(send(2, 5), Err(SubmitError::PoolFull)));
}

#[test]
fn a_replacement_pays_ten_percent_more() {
    let chain = manual();
    let send = |fee: u128, tip: u128| {
        let transaction = template(0, TO, Bytes::new());
        chain.submit(sign(
            &account(0),
            TxEip1559 {
                max_fee_per_gas: fee,
                max_priority_fee_per_gas: tip,
                ..transaction
            },
        ))
    };
    let first = send(100_000_000_000, 1_000_000_000).unwrap();
    assert_eq!(
        send(100_000_000_000, 1_000_000_000).unwrap_err().to_string(),
        "already known"
    );
    assert_eq!(
        send(109_000_000_000, 1_100_000_000).unwrap_err().to_string(),
        "replacement transaction underpriced"
    );
    assert!(send(110_000_000_000, 1_000_000_001).is_err());
    let second = send(110_000_000_000, 1_100_000_000).unwrap();
    assert!(chain.pooled(first).is_none());
    let block = chain.mine().unwrap();
    assert_eq!(block.transactions.len(), 1);
    assert!(chain.transaction(second).unwrap().is_some());
}

#[test]
fn higher_tips_go_first_and_nonces_stay_in_order() {
    let chain = manual();
    let send = |from, nonce, tip| {
        let transaction = TxEip1559 {
            max_priority_fee_per_gas: tip,
            ..template(nonce, TO, Bytes::new())
        };
        chain.submit(sign(&account(from), transaction)).unwrap();
    };
    send(0, 0, 1);
    send(0, 1, 50);
    send(1, 0, 10);
    send(2, 0, 10);
    assert_eq!(chain.nonce(account(0).address(), BlockTag::Pending).unwrap(), 2);
    let block = chain.mine().unwrap();
    let order: Vec<_> = [1, 2, 0, 0].map(|from| account(from).address()).into();
    assert_eq!(block.senders, order);
}

#[test]
fn below_the_base_fee_a_transaction_waits_for_a_cheaper_block() {
    let chain = manual();
    let fee = u128::from(chain.next_base_fee()) - 1;
    let transaction = TxEip1559 {
        max_fee_per_gas: fee,
        max_priority_fee_per_gas: 0,
        ..template(0, TO, Bytes::new())
    };
    chain.submit(sign(&account(0), transaction)).unwrap();
    assert!(chain.mine().unwrap().transactions.is_empty());
    assert_eq!(chain.mine().unwrap().transactions.len(), 1);
}

#[test]
fn what_can_no_longer_be_paid_is_dropped_with_a_reason() {
    let chain = manual();
    let from = account(0);
    let all = chain.balance(from.address(), BlockTag::Latest).unwrap();
    let reserve = U256::from(200_000u64) * U256::from(100_000_000_000u64);
    let spend = TxEip1559 {
        value: all - reserve,
        ..template(0, TO, Bytes::new())
    };
    chain.submit(sign(&from, spend.clone())).unwrap();
    chain
        .submit(sign(&from, TxEip1559 { nonce: 1, ..spend }))
        .unwrap();
    assert_eq!(chain.mine().unwrap().transactions.len(), 1);
    assert_eq!(chain.pool_size(), (0, 0));
    chain.check().unwrap();
}

#[test]
fn a_batch_answers_each_transaction_in_order() {
    let chain = chain();
    let mut batch: Vec<_> = (0..400u64)
        .map(|nonce| payment(&account(0), nonce, Address::repeat_byte(1), 1))
        .collect();
    batch[200] = Bytes::from_static(b"spoilt");
    let answers = chain.submit_batch(batch);
    for (at, answer) in answers.iter().enumerate() {
        match at {
            200 => assert!(matches!(answer, Err(SubmitError::Undecodable { .. }))),
            // What follows the gap waits, as far as the pool lets it.
            201..=264 => assert!(answer.is_ok(), "{at}: {answer:?}"),
            265.. => assert!(matches!(answer, Err(SubmitError::NonceTooHigh { .. })), "{at}"),
            _ => assert!(
                chain.transaction(*answer.as_ref().unwrap()).unwrap().is_some(),
                "{at}"
            ),
        }
    }
    assert_eq!(chain.pool_size(), (0, 64));
}
