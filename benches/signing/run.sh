#!/usr/bin/env bash
# A model of 16 shards and 2 GiB, signed and verified by `cw` and by OpenSSF's model-signing, and hashed again by `cw` and by
# b3sum. model-signing comes from PyPI into .venv here, b3sum from crates.io into .venv/bin; the model is made in a temporary
# folder and deleted.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cd "$here/../.."
"${CARGO:-cargo}" build --locked --quiet --release -p counterweight-cli
scripts/venv.sh "$here"
[ -x "$here/.venv/bin/b3sum" ] || "${CARGO:-cargo}" install --locked --quiet --root "$here/.venv" b3sum@1.8.7
exec "$here/.venv/bin/python" "$here/compare.py" "${CARGO_TARGET_DIR:-target}/release/cw"
