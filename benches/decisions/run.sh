#!/usr/bin/env bash
# Decisions of a linear model with their explanations, ours and three peers', each durable. MLflow is installed from PyPI into
# .venv here; SQLite and the plain file are Python's own.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cd "$here/../.."
"${CARGO:-cargo}" build --locked --quiet --release -p counterweight-provenance --example bench-decisions
scripts/venv.sh "$here"
exec "$here/.venv/bin/python" "$here/compare.py" "${CARGO_TARGET_DIR:-target}/release/examples/bench-decisions"
