#!/usr/bin/env python3
"""The performance gate: instructions that the kernels take on a fixed small input, against bench/instructions.json.

Counts (valgrind --tool=callgrind, the measured call alone) do not depend on how busy the machine is. A count that
differs from the stored one by more than 5 % fails, up or down: a change that means it stores the new one in the same
commit with

    bench/instruction_counts.py --update

The stored counts hold for one compiler; with another one the check is skipped (exit code 77). A CPU without AVX2 checks
the portable kernels alone.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
STORED = ROOT / "bench" / "instructions.json"
TOLERANCE = 0.05
SKIPPED = 77
# OpenBLAS picks its kernels by the CPU, and threads by the number of cores; both are pinned.
BLAS_CORE = {"avx2": "Haswell", "portable": "Nehalem"}


def valgrind(arguments, blas_core="Nehalem"):
    """Standard output and error. The environment is a fixed one: its size moves the stack, and with it alignments."""
    environment = {"PATH": os.defpath, "LD_BIND_NOW": "1", "OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": blas_core}
    done = subprocess.run(["valgrind", *arguments], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        sys.exit(f"valgrind {' '.join(map(str, arguments))} failed:\n{done.stderr}")
    return done.stdout, done.stderr


def count(binary, kernels, case):
    options = ["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"]
    _, log = valgrind([*options, "--toggle-collect=phase0_measured", binary, kernels, case], BLAS_CORE[kernels])
    instructions = int(re.search(r"Collected : (\d+)", log).group(1))
    if instructions == 0:
        sys.exit(f"{kernels} {case}: nothing was counted")
    return instructions


def measure(binary, facts):
    """{kernels: {case: instructions}}"""
    wanted = [(kernels, case) for kernels in facts["kernels"] for case in facts["cases"]]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = list(pool.map(lambda item: count(binary, *item), wanted))
    measured = {kernels: {} for kernels in facts["kernels"]}
    for (kernels, case), instructions in zip(wanted, counts):
        measured[kernels][case] = instructions
    return measured


def compare(stored, measured):
    """Prints every count beside the stored one; whether all are as stored."""
    good = True
    for kernels in sorted(measured):
        for case in sorted(measured[kernels].keys() | stored.get(kernels, {}).keys()):
            before, now = stored.get(kernels, {}).get(case), measured[kernels].get(case)
            if before is None or now is None:
                verdict = "is not stored" if before is None else "is stored, but there is no such case"
            else:
                change = now / before - 1
                verdict = f"{100 * change:+.2f} %" + (" IS TOO MUCH" if abs(change) > TOLERANCE else "")
            good = good and verdict.endswith("%")
            print(f"{kernels:9} {case:17} stored {before or '-':>12} now {now or '-':>12}  {verdict}")
    return good


def update(stored, measured, compiler):
    others = stored["counts"] if stored.get("compiler") == compiler else {}
    STORED.write_text(json.dumps({"compiler": compiler, "counts": others | measured}, indent=2, sort_keys=True) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", default=ROOT / "build/release/bench/phase0_kernel_counts")
    parser.add_argument("--update", action="store_true", help="store the counts instead of checking them")
    arguments = parser.parse_args()
    # What can be run is asked under valgrind, which has instruction sets of its own (AVX-512 is not among them).
    facts = json.loads(valgrind(["--tool=none", "-q", arguments.bin, "facts"])[0])
    stored = json.loads(STORED.read_text()) if STORED.exists() else {"counts": {}}
    if not arguments.update and stored.get("compiler") != facts["compiler"]:
        print(f"skipped: counts are stored for GCC {stored.get('compiler')}, this is a build by {facts['compiler']}")
        return SKIPPED
    if "avx2" not in facts["kernels"]:
        print("this CPU has no AVX2: only the portable kernels are counted")
    measured = measure(arguments.bin, facts)
    good = compare(stored["counts"], measured)
    if arguments.update:
        update(stored, measured, facts["compiler"])
        return 0
    if not good:
        print("Counts changed. If the change means it: bench/instruction_counts.py --update, in the same commit.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
