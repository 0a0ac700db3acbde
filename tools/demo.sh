#!/usr/bin/env bash
# Installs what is missing, builds, and runs the main job on data/demo. Arguments go to `phase0 run`.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh
cmake --preset release
cmake --build --preset release --target phase0_cli
build/release/phase0 run -c configs/demo.yaml --fresh "$@"
echo "The report lies in $PWD/runs/demo/report.html"
