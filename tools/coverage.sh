#!/usr/bin/env bash
# Which lines of src/ the tests of the asan preset have run so far: a table of the files in build/asan/coverage.txt, and the
# sums of the layers on stdout. Fails below 90 %. What a killed program ran is not counted.
set -euo pipefail
cd "$(dirname "$0")/../build/asan"
llvm-profdata merge -sparse -o coverage.profdata profiles/*.profraw
objects=()
for tests in tests/phase0_*_tests tests/fuzz/phase0_fuzz_*; do
  [[ ! -x $tests ]] || objects+=(-object "$tests")
done
llvm-cov export -summary-only -instr-profile coverage.profdata phase0 "${objects[@]}" 2>coverage.log |
  python3 ../../tools/coverage_table.py "$PWD/../.." coverage.txt --fail-under 90
