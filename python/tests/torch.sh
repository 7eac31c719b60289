#!/usr/bin/env bash
# Finds a Python that has PyTorch, and prints its path. PyPI has builds for Linux with CUDA only, gigabytes of it; Debian has one
# for processors (152 MB with all it pulls in), which is installed where that can be done without asking.
set -euo pipefail
for python in "${CW_TORCH_PYTHON:-}" python3 /usr/bin/python3; do
  if [ -n "$python" ] && "$python" -c 'import numpy, torch' 2>/dev/null; then
    command -v "$python"
    exit
  fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-torch
  } >&2
  /usr/bin/python3 -c 'import numpy, torch' && echo /usr/bin/python3
fi
