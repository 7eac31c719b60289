#!/usr/bin/env bash
# How well scores tell liars from honest members, and what copies of one member's work earn. DATA as for `make bench-robust`,
# whose program this is.
set -euo pipefail
exec "$(dirname "$0")/../robust/on_digits.sh" valuation
