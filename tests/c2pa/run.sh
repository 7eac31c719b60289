#!/usr/bin/env bash
# Marks files of every kind with `cw c2pa` and reads them with c2pa-python, the binding of the reference implementation, which comes from
# PyPI, at the version and digests of requirements.txt, into .venv here. C2PA_TARGET is where `make c2pa` built cw-c2pa.
set -euo pipefail
cd "$(dirname "$0")"
../../scripts/venv.sh .
exec .venv/bin/python -m unittest discover --start-directory . "$@"
