#!/usr/bin/env bash
# venv.sh FOLDER: makes FOLDER/.venv hold what FOLDER/requirements.txt names, from PyPI; at once if it does already. Where the file
# gives digests, pip takes nothing without one.
set -euo pipefail
cd "$1"
[ -x .venv/bin/python ] || python3 -m venv .venv
if ! cmp -s requirements.txt .venv/installed; then
  .venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
  cp requirements.txt .venv/installed
fi
