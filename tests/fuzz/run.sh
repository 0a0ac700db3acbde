#!/usr/bin/env bash
# Fuzzes each harness under the address and undefined-behaviour sanitizers. What it finds is written to
# tests/fuzz/found/HARNESS, where the tests of every build replay it from then on.
set -euo pipefail
cd "$(dirname "$0")/../.."

usage() {
  cat <<'TEXT'
usage: tests/fuzz/run.sh [SECONDS | --runs N] [HARNESS...]
  SECONDS   time for each harness (default 60)
  --runs N  instead: N inputs for each
  HARNESS   of latents chunks yaml journal import (default: all)
An input that takes over 1 s of the processor, 20 s of the clock or 256 MiB is a finding, as a crash is. Environment: PHASE0_FUZZ_SEED.
TEXT
}

limit=(-max_total_time=60)
harnesses=()
while [[ $# -gt 0 ]]; do
  case "$1" in
    -h | --help) usage; exit 0 ;;
    --runs) limit=(-runs="${2:?--runs needs a number}"); shift ;;
    [0-9]*) limit=(-max_total_time="$1") ;;
    latents | chunks | yaml | journal | import) harnesses+=("$1") ;;
    *) echo "run.sh: unknown argument '$1'" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
[[ ${#harnesses[@]} -gt 0 ]] || harnesses=(latents chunks yaml journal import)
declare -A max_len=([latents]=49152 [chunks]=8192 [yaml]=8192 [journal]=16384 [import]=4096)

# HDF5 keeps lists of its own, so that every input would be searched for leaks; the replays look for them at their end.
declare -A leaks=([latents]=0 [chunks]=1 [yaml]=1 [journal]=1 [import]=1)

cmake --preset fuzz >/dev/null
cmake --build --preset fuzz
TMPDIR=$(mktemp -d /dev/shm/phase0-fuzz-XXXXXX)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
# The memory that freed blocks wait in is the sanitizer's, not ours. HDF5 asks for as much memory as a file states, reads
# what is not there and gives up; it is refused what would be too much, and our own code, which throws, ends there.
ASAN_OPTIONS=quarantine_size_mb=4:thread_local_quarantine_size_kb=64:malloc_context_size=12
export ASAN_OPTIONS+=:allocator_may_return_null=1:max_allocation_size_mb=256
export UBSAN_OPTIONS=print_stacktrace=1
export LSAN_OPTIONS=suppressions=$PWD/tests/fuzz/lsan.supp:print_suppressions=0

# One harness: a line of figures, and 1 for a finding.
fuzz() {
  local name=$1 work=build/fuzz/corpus/$1 log=build/fuzz/$1.log dictionary=tests/fuzz/$1.dict status=0 result=clean
  mkdir -p "$work" "tests/fuzz/found/$name"
  local options=(-timeout=20 -rss_limit_mb=256 -malloc_limit_mb=512 -detect_leaks="${leaks[$name]}"
                 -max_len="${max_len[$name]}" -print_final_stats=1 -verbosity=1
                 -artifact_prefix="tests/fuzz/found/$name/" -seed="${PHASE0_FUZZ_SEED:-0}" "${limit[@]}")
  [[ ! -f $dictionary ]] || options+=(-dict="$dictionary")
  if ! build/fuzz/tests/fuzz/phase0_fuzz_"$name" "${options[@]}" "$work" "tests/fuzz/corpus/$name" \
      "tests/fuzz/found/$name" >"$log" 2>&1; then
    result="FINDING, see $log"
    status=1
    grep -E 'ERROR|SUMMARY|finding:|runtime error|Test unit written' "$log" | head -8 >&2 || true
  fi
  stat() { sed -n "s/^stat::$1: *//p" "$log"; }
  local coverage
  coverage=$(grep -oE 'cov: [0-9]+ ft: [0-9]+' "$log" | tail -1 || true)
  echo "$name: $(stat number_of_executed_units) inputs, $(stat average_exec_per_sec) a second, slowest" \
       "$(stat slowest_unit_time_sec) s, peak $(stat peak_rss_mb) MiB, ${coverage:-no coverage}: $result"
  return "$status"
}

# As many at a time as there are processors.
status=0
running=0
for name in "${harnesses[@]}"; do
  if ((running == $(nproc))); then
    wait -n || status=1
    running=$((running - 1))
  fi
  fuzz "$name" &
  running=$((running + 1))
done
while ((running > 0)); do
  wait -n || status=1
  running=$((running - 1))
done
exit "$status"
