#!/usr/bin/env bash
# Which lines of src/ the tests of the asan preset have run so far: a table of the files in build/asan/coverage.txt and the
# sum on stdout. Fails below 90 %.
set -euo pipefail
cd "$(dirname "$0")/.."
gcovr --root . --filter src/ --object-directory build/asan --gcov-ignore-parse-errors --txt build/asan/coverage.txt \
  --print-summary --fail-under-line 90 build/asan
