#!/usr/bin/env bash
# One round of masked summation, ours and Flower's SecAgg+, member for member in one process each. Flower is installed from
# PyPI into .venv here.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cd "$here/../.."
"${CARGO:-cargo}" build --locked --quiet --release --no-default-features -p counterweight-federated --example bench-secagg
scripts/venv.sh "$here"
exec "$here/.venv/bin/python" "$here/compare.py" "${CARGO_TARGET_DIR:-target}/release/examples/bench-secagg"
