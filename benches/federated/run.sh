#!/usr/bin/env bash
# Ten and a thousand simulated clients, ours and Flower's, on the same digits, model and steps. DATA may name a CSV file
# of the digits; otherwise scikit-learn's copy is used. Flower is installed from PyPI into .venv here.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cd "$here/../.."
"${CARGO:-cargo}" build --locked --quiet --release --no-default-features -p counterweight-federated --example bench-federated
scripts/venv.sh "$here"
exec "$here/.venv/bin/python" "$here/compare.py" "${CARGO_TARGET_DIR:-target}/release/examples/bench-federated"
