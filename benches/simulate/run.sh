#!/usr/bin/env bash
# A round of a thousand simulated members, ours and Flower's, and rounds of a hundred thousand, ours alone. Programs and
# packages are those of benches/federated; DATA may name a CSV file of the digits.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cd "$here/../.."
"${CARGO:-cargo}" build --locked --quiet --release --no-default-features -p counterweight-federated --example bench-federated
peer="$here/../federated"
scripts/venv.sh "$peer"
exec "$peer/.venv/bin/python" "$here/simulate.py" "${CARGO_TARGET_DIR:-target}/release/examples/bench-federated"
