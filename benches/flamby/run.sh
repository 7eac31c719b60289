#!/usr/bin/env bash
# Fed-Heart-Disease under FLamby's protocol. DATA is a folder with the four files and flamby_split.csv: see README.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -z "${DATA:-}" ] || [ ! -f "$DATA/flamby_split.csv" ]; then
    echo "usage: make bench-flamby DATA=/path/to/heart-disease (benches/flamby/README.md says where to get it)" >&2
    exit 2
fi
exec "${CARGO:-cargo}" run --locked --quiet --release --no-default-features -p counterweight-federated --example bench-flamby -- "$DATA"
