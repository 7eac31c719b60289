//! How fast the embedded chain takes signed token transfers, each to an account that never held any.
//!
//! `cargo run --release -p counterweight-chain --example throughput -- [transfers] [senders] [gas limit] [batch]` prints
//! one line of JSON. Blocks are written durably, with all their roots. Signing is not timed. A batch of 0 sends all
//! at once.

#![expect(clippy::print_stdout, reason = "the line on stdout is the result")]

use std::time::Instant;

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, Bytes, TxKind, U256, keccak256};
use alloy_signer::SignerSync;
use alloy_sol_types::{SolCall, sol};
use counterweight_chain::embedded::{
    Config, DEVELOPMENT_CHAIN_ID, DevelopmentAccount, EmbeddedChain, Genesis,
};
use rayon::prelude::*;

sol! {
    function mint(address to, uint256 amount) external;
    function transfer(address to, uint256 amount) external returns (bool);
}

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<u64> = std::env::args()
        .skip(1)
        .map(|argument| argument.parse())
        .collect::<Result<_, _>>()?;
    let argument = |at: usize, default: u64| arguments.get(at).copied().unwrap_or(default);
    let (transfers, senders) = (argument(0, 20_000), argument(1, 10).clamp(1, 10));
    let (gas_limit, batch) = (argument(2, 60_000_000), argument(3, 0));

    let directory = tempfile::tempdir()?;
    let genesis = Genesis {
        gas_limit,
        ..Genesis::development()
    };
    let chain = EmbeddedChain::open(directory.path(), genesis, Config::default())?;
    let accounts = DevelopmentAccount::all();
    let token = deploy(&chain, accounts, senders)?;

    let first: Vec<u64> = accounts
        .iter()
        .map(|account| chain.nonce(account.address(), Default::default()))
        .collect::<Result<_, _>>()?;
    let signed: Vec<Bytes> = (0..transfers)
        .into_par_iter()
        .map(|at| {
            let sender = (at % senders) as usize;
            let to = Address::from_word(keccak256(at.to_be_bytes()));
            let input = transferCall {
                to,
                amount: U256::ONE,
            }
            .abi_encode();
            sign(
                &accounts[sender],
                first[sender] + at / senders,
                TxKind::Call(token),
                input.into(),
                100_000,
            )
        })
        .collect::<Result<_, _>>()
        .map_err(|error: String| error)?;

    let before = chain.head().number();
    let (started, cpu) = (Instant::now(), cpu_seconds()?);
    let size = if batch == 0 {
        signed.len().max(1)
    } else {
        batch as usize
    };
    for chunk in signed.chunks(size) {
        for answer in chain.submit_batch(chunk.to_vec()) {
            answer?;
        }
    }
    let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds()? - cpu);

    let head = chain.head().number();
    let (mut gas, mut included) = (0, 0);
    for number in before + 1..=head {
        let block = chain
            .block(counterweight_chain::embedded::BlockTag::Number(number))?
            .ok_or("a block is missing")?;
        gas += block.header.gas_used;
        included += block.receipts.iter().filter(|receipt| receipt.succeeded).count();
    }
    let peak = peak_mib()?;
    let file = std::fs::metadata(directory.path().join("chain.redb"))?.len() as f64 / 1_048_576.0;
    let checked = Instant::now();
    chain.check()?;
    let checked = checked.elapsed().as_secs_f64();
    println!(
        "{}",
        serde_json::json!({
            "transfers": included,
            "per_second": included as f64 / wall,
            "wall_s": wall,
            "cpu_s": cpu,
            "peak_mib": peak,
            "gas": gas,
            "blocks": head - before,
            "file_mib": file,
            "check_s": checked,
        })
    );
    Ok(())
}

/// Deploys the token and gives every sender some.
fn deploy(chain: &EmbeddedChain, accounts: &[DevelopmentAccount], senders: u64) -> Result<Address, Failure> {
    let artifact: serde_json::Value =
        serde_json::from_str(include_str!("../../../contracts/artifacts/DevelopmentToken.json"))?;
    let code: Bytes = artifact["bytecode"]
        .as_str()
        .ok_or("the artifact has no bytecode")?
        .parse()?;
    let deployer = &accounts[0];
    chain.submit(sign(deployer, 0, TxKind::Create, code, 5_000_000)?)?;
    let token = deployer.address().create(0);
    for (nonce, account) in (1..=senders).zip(accounts) {
        let input = mintCall {
            to: account.address(),
            amount: U256::from(10_000_000u64),
        }
        .abi_encode();
        chain.submit(sign(deployer, nonce, TxKind::Call(token), input.into(), 200_000)?)?;
    }
    Ok(token)
}

fn sign(
    from: &DevelopmentAccount,
    nonce: u64,
    to: TxKind,
    input: Bytes,
    gas_limit: u64,
) -> Result<Bytes, String> {
    let transaction = TxEip1559 {
        chain_id: DEVELOPMENT_CHAIN_ID,
        nonce,
        gas_limit,
        // Full blocks raise the base fee by an eighth each.
        max_fee_per_gas: 10_000_000_000_000,
        max_priority_fee_per_gas: 1,
        to,
        value: U256::ZERO,
        access_list: Default::default(),
        input,
    };
    let signature = from
        .signer
        .sign_hash_sync(&transaction.signature_hash())
        .map_err(|error| error.to_string())?;
    Ok(TxEnvelope::from(transaction.into_signed(signature))
        .encoded_2718()
        .into())
}

/// Seconds of processor time this process used, in user and system mode.
fn cpu_seconds() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().ok_or("no process statistics")?;
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u64>)
        .sum::<Result<_, _>>()?;
    // Linux counts in hundredths whatever the kernel's own tick.
    Ok(ticks as f64 / 100.0)
}

/// Peak resident memory, including what signing took.
fn peak_mib() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .ok_or("no peak memory")?;
    let kib: f64 = line.split_whitespace().nth(1).ok_or("no peak memory")?.parse()?;
    Ok(kib / 1024.0)
}
