#!/usr/bin/env bash
# Executes tools/notebooks/results.ipynb on a run directory and writes the result. Prints errors only.
#   tools/run_notebook.sh OUTPUT [RUN_DIR]
# OUTPUT ends in .ipynb or .html. RUN_DIR is taken from PHASE0_RUN when it is not given, and is runs/demo by default.
set -euo pipefail

if [[ $# -lt 1 || $# -gt 2 ]]; then
  echo "usage: tools/run_notebook.sh OUTPUT.ipynb|OUTPUT.html [RUN_DIR]" >&2
  exit 2
fi
case "$1" in
  *.ipynb) format=(--to notebook) ;;
  *.html) format=(--to html --no-input) ;;
  *) echo "run_notebook.sh: OUTPUT must end in .ipynb or .html: $1" >&2; exit 2 ;;
esac

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
output="$(realpath -m "$1")"
if [[ $# -eq 2 ]]; then
  PHASE0_RUN="$(realpath -m "$2")"
  export PHASE0_RUN
fi

"$root/tools/python_env.sh"
mkdir -p "$(dirname "$output")"
# The kernel is that of .venv, not one that happens to be installed for the user.
export JUPYTER_PREFER_ENV_PATH=1
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
if ! "$root/.venv/bin/python" -m nbconvert --log-level=ERROR "${format[@]}" --execute \
  --output-dir "$(dirname "$output")" --output "$(basename "$output")" \
  "$root/tools/notebooks/results.ipynb" >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
