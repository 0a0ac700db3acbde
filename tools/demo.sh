#!/usr/bin/env bash
# Installs what is missing, builds, and runs the main job on data/demo. Arguments go to `phase0 run`.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh --build-only
cmake --preset release -DPHASE0_BUILD_TESTS=OFF -B build/demo
cmake --build build/demo --target phase0_cli
build/demo/phase0 run -c configs/demo.yaml "$@"
echo "The report lies in $PWD/runs/demo/report.html"
