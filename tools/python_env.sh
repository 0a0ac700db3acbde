#!/usr/bin/env bash
# Makes the virtual environment .venv in the repository root from tools/requirements.txt, unless it is there and up
# to date. Prints errors only. Needs python3 with the venv module (Debian: python3-venv); PYTHON names another one.
#   tools/python_env.sh && .venv/bin/python SCRIPT
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
requirements="$root/tools/requirements.txt"
venv="$root/.venv"
stamp="$venv/requirements.sha256"
python="${PYTHON:-python3}"

wanted="$(sha256sum <"$requirements" | cut -d' ' -f1)"
up_to_date() { [[ -x "$venv/bin/python" && -f "$stamp" && "$(<"$stamp")" == "$wanted" ]]; }

up_to_date && exit 0

# Two callers at once (parallel tests) must not build into each other's folder.
exec 9<"$requirements"
flock 9
up_to_date && exit 0

log="$(mktemp)"
trap 'rm -f "$log"' EXIT
build() {
  rm -rf "$venv" &&
    "$python" -m venv "$venv" &&
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r "$requirements"
}
if ! build >"$log" 2>&1; then
  cat "$log" >&2
  echo "python_env.sh: cannot build $venv (python3-venv and a package index are needed)" >&2
  exit 1
fi
echo "$wanted" >"$stamp"
