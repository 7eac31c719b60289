#!/usr/bin/env bash
# 20,000 ERC-20 transfers on our chain and on anvil, in the same run. Last line: one JSON object.
set -euo pipefail
cd "$(dirname "$0")"
[ -d node_modules/@foundry-rs ] || npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
cargo build --release --locked -p counterweight-chain --example node --example rpc_load --example throughput >&2
exec python3 measure.py "$@"
