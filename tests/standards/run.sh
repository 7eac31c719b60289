#!/usr/bin/env bash
# Checks what we write with the tools of each format, and reads what they write. The tools come from PyPI, by the digests of
# requirements.txt, into .venv here.
set -euo pipefail
cd "$(dirname "$0")"
../../scripts/venv.sh .
exec .venv/bin/python -W error::DeprecationWarning:__main__ -m unittest discover --start-directory . "$@"
