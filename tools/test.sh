#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. Arguments go to ctest.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh
tools/python_env.sh
cmake --preset release
cmake --build --preset release
ctest --preset release --parallel $(($(nproc) + 4)) "$@"  # many wait more than they work
