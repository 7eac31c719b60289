#!/usr/bin/env bash
# Runs make_vectors.py with the dp-accounting it is pinned to, in a virtual environment of its own.
set -euo pipefail
cd "$(dirname "$0")"
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
exec .venv/bin/python make_vectors.py "$@"
