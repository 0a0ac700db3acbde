#!/usr/bin/env bash
# Installs the Debian 12 packages that phase0 needs. Does nothing, and needs no network, when all are there.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: tools/setup.sh [--list]
  --list  print the packages, one a line, and stop
TEXT
}

packages=(
  # to build and run
  g++ cmake ninja-build pkg-config git
  libeigen3-dev libopenblas-serial-dev libhdf5-dev libzstd-dev zlib1g-dev
  libyaml-cpp-dev libcli11-dev libfmt-dev libspdlog-dev nlohmann-json3-dev
  python3
  # to test, measure, format and lint
  libgtest-dev libbenchmark-dev clang libclang-rt-14-dev clang-format clang-tidy llvm valgrind
  python3-venv
)
list_only=false
for argument in "$@"; do
  case "$argument" in
    --list) list_only=true ;;
    -h | --help) usage; exit 0 ;;
    *) echo "setup.sh: unknown argument '$argument'" >&2; usage >&2; exit 2 ;;
  esac
done
if $list_only; then
  printf '%s\n' "${packages[@]}"
  exit 0
fi

fail() {
  echo "setup.sh: $1" >&2
  exit 1
}

is_installed() {
  [[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]
}

as_root() {
  if [[ $EUID -eq 0 ]]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  else
    sudo env DEBIAN_FRONTEND=noninteractive "$@"
  fi
}

if ! { command -v dpkg-query && command -v apt-get; } >/dev/null; then
  fail "this is not Debian; install the likes of: ${packages[*]}"
fi

missing=()
for package in "${packages[@]}"; do
  is_installed "$package" || missing+=("$package")
done
if [[ ${#missing[@]} -eq 0 ]]; then
  echo "setup.sh: all ${#packages[@]} packages are installed"
  exit 0
fi

if [[ $EUID -ne 0 ]] && ! command -v sudo >/dev/null; then
  fail "neither root nor sudo; have these installed: ${missing[*]}"
fi

echo "setup.sh: installing ${missing[*]}"
install=(apt-get install -y -q --no-install-recommends "${missing[@]}")
# A package list that is there and fresh enough needs no update.
if ! as_root "${install[@]}"; then
  as_root apt-get update -q || fail "apt-get update failed; needed: ${missing[*]}"
  as_root "${install[@]}" || fail "apt-get could not install: ${missing[*]}"
fi
