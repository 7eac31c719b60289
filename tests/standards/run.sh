#!/usr/bin/env bash
# Checks what we write with the tools of each format, and reads what they write. The tools come from PyPI, by the digests of
# requirements.txt, into .venv here.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cd "$here"
[ -x .venv/bin/python ] || python3 -m venv .venv
if ! cmp -s requirements.txt .venv/installed; then
  .venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
  cp requirements.txt .venv/installed
fi
exec .venv/bin/python -W error::DeprecationWarning:__main__ -m unittest discover --start-directory . "$@"
