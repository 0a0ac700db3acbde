#!/usr/bin/env bash
# Formats the C++ sources; with --check only says which are not formatted, with --lint runs clang-tidy on them (needs
# build/release).
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
  --check) git ls-files -co --exclude-standard '*.h' '*.cpp' '*.inc' | xargs clang-format --dry-run --Werror ;;
  --lint) git ls-files 'src/*.cpp' | xargs -P "$(nproc)" -n 4 clang-tidy -p build/release --quiet --extra-arg=-Wno-unknown-warning-option ;;
  "") git ls-files -co --exclude-standard '*.h' '*.cpp' '*.inc' | xargs clang-format -i ;;
  *) echo "usage: tools/format.sh [--check | --lint]" >&2; exit 2 ;;
esac
