#!/usr/bin/env bash
# Krum and median of 100 updates of 10 MB, ours and Flower's, on the same numbers. Flower is installed from PyPI into
# .venv here; the updates, 1 GB, are kept in a temporary folder while it runs.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cd "$here/../.."
"${CARGO:-cargo}" build --locked --quiet --release --no-default-features -p counterweight-federated --example bench-aggregate
scripts/venv.sh "$here"
exec "$here/.venv/bin/python" "$here/compare.py" "${CARGO_TARGET_DIR:-target}/release/examples/bench-aggregate"
