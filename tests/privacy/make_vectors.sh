#!/usr/bin/env bash
# Runs make_vectors.py with the dp-accounting it is pinned to, in a virtual environment of its own.
set -euo pipefail
cd "$(dirname "$0")"
../../scripts/venv.sh .
exec .venv/bin/python make_vectors.py "$@"
