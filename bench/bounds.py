#!/usr/bin/env python3
"""Holds the memory that phase0 states against the memory it takes, as a Markdown table.

Runs `phase0 run` on synthetic latents (bench/make_latents.py) over sizes, threads, budgets and both storages, and
compares for every stage the planned peak with the kernel's own figure (VmHWM, mapped file pages included). Fails when
a stage took more than the budget or than its plan, or when the plan is more than 15 % and 32 MiB over what was taken.
Needs the virtual environment of tools/python_env.sh.
"""

import argparse
import dataclasses
import json
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MIB = 1 << 20
SLACK_SHARE, SLACK_BYTES = 0.15, 32 * MIB
SPEAKERS = 20

CONFIG = """\
seed: 42
data: {{latents: {latents}, min_duration_sec: 1.0}}
splits: {{n_train_speakers: 15, n_eval_speakers: 5}}
context: {{window_size: {window}, lags: [1, 2]}}
features: {{storage: {storage}}}
clustering:
  min_cluster_size: 20
  kmeans: {{n_init: 3, max_iter: 4, tol: 1.0e-4, restarts_on: {restarts_on}}}
  conditions:
    - {{name: mean_vq, type: mean_pool_vq, k: {k}}}
    - {{name: pca_vq, type: pca_vq, pca_dim: 8, k: {k}}}
    - {{name: pca_quartile, type: pca_quartile, pca_dim: 5}}
slices:
  - {{name: all, filter: null}}
  - {{name: high_energy, filter: energy_above_median}}
metrics: {{permutations: 5}}
compute: {{threads: {threads}}}
output: {{dir: {out}}}
"""


@dataclasses.dataclass(frozen=True)
class Case:
    frames: int
    dim: int
    window: int
    k: int
    threads: int
    memory: str  # a size, or `minimum`
    storage: str
    restarts_on: str = "all"

    def name(self):
        return "_".join(str(v) for v in dataclasses.astuple(self))


# 30 configurations: each size at each number of threads, with budgets and storages in turn.
CASES = [
    Case(60_000, 256, 8, 16, 1, "minimum", "window"),
    Case(60_000, 256, 8, 16, 2, "minimum", "window"),
    Case(60_000, 256, 8, 16, 8, "minimum", "window"),
    Case(60_000, 256, 8, 16, 1, "256MiB", "window"),
    Case(60_000, 256, 8, 16, 2, "256MiB", "window"),
    Case(60_000, 256, 8, 16, 8, "256MiB", "window"),
    Case(60_000, 256, 8, 16, 1, "1GiB", "window"),
    Case(60_000, 256, 8, 16, 2, "1GiB", "window"),
    Case(60_000, 256, 8, 16, 8, "1GiB", "window"),
    Case(60_000, 256, 2, 16, 1, "minimum", "dense"),
    Case(60_000, 256, 2, 16, 2, "minimum", "dense"),
    Case(60_000, 256, 2, 16, 8, "minimum", "dense"),
    Case(60_000, 256, 2, 16, 2, "256MiB", "dense"),
    Case(60_000, 256, 2, 16, 8, "1GiB", "dense"),
    Case(60_000, 256, 2, 16, 2, "4GiB", "dense"),
    Case(200_000, 16, 8, 64, 1, "minimum", "window"),
    Case(200_000, 16, 8, 64, 8, "minimum", "window", "sample"),
    Case(200_000, 16, 8, 64, 2, "256MiB", "dense"),
    Case(200_000, 16, 8, 64, 8, "4GiB", "window", "sample"),
    Case(200_000, 16, 8, 256, 2, "minimum", "window", "sample"),
    Case(200_000, 16, 8, 256, 8, "1GiB", "dense", "sample"),
    Case(20_000, 1024, 2, 8, 1, "minimum", "window"),
    Case(20_000, 1024, 2, 8, 8, "minimum", "dense"),
    Case(20_000, 1024, 2, 8, 2, "1GiB", "window"),
    Case(20_000, 1024, 2, 8, 8, "4GiB", "window"),
    Case(100_000, 128, 4, 256, 1, "minimum", "dense", "sample"),
    Case(100_000, 128, 4, 256, 2, "512MiB", "window"),
    Case(100_000, 128, 4, 256, 8, "512MiB", "window", "sample"),
    Case(5_000, 64, 8, 8, 2, "minimum", "window"),
    Case(5_000, 64, 8, 8, 8, "4GiB", "dense"),
]
SMALL = [CASES[13], CASES[28], CASES[29], Case(20_000, 64, 4, 16, 8, "minimum", "dense"),
         Case(20_000, 64, 4, 16, 2, "256MiB", "window"), Case(20_000, 64, 4, 16, 1, "minimum", "window", "sample")]


def latents(case, folder):
    path = folder / f"latents_{case.frames}_{case.dim}.h5"
    if not path.exists():
        subprocess.run([sys.executable, ROOT / "bench/make_latents.py", "--frames", str(case.frames), "--dim",
                        str(case.dim), "--speakers", str(SPEAKERS), "--seed", "1", "--out", path], check=True,
                       stdout=subprocess.DEVNULL)
    return path


def phase0(binary, config, memory):
    command = [str(binary), "run", "-c", str(config), "--fresh", "--progress", "none", "-q", "--memory", memory]
    return subprocess.run(command, capture_output=True, text=True)


def smallest_budget(binary, config):
    refused = phase0(binary, config, "1MiB")
    found = re.search(r"the smallest that works is (\d+)MiB", refused.stderr)
    if refused.returncode != 4 or not found:
        raise SystemExit(f"expected to be refused: {refused.returncode} {refused.stderr}")
    return f"{found.group(1)}MiB"


def write_config(case, folder):
    config = folder / f"{case.name()}.yaml"
    config.write_text(CONFIG.format(latents=latents(case, folder), window=case.window, k=case.k,
                                    out=folder / f"run_{case.name()}", threads=case.threads, storage=case.storage,
                                    restarts_on=case.restarts_on))
    return config


@dataclasses.dataclass
class Row:
    """One stage of one configuration; `wrong` says which bound is broken."""
    stage: str
    memory: str
    planned: int = 0
    measured: int = 0
    seconds: float = 0
    wrong: str = ""


def run_case(case, folder, binary):
    config = write_config(case, folder)
    memory = smallest_budget(binary, config) if case.memory == "minimum" else case.memory
    done = phase0(binary, config, memory)
    if done.returncode != 0:
        return [Row("-", memory, wrong=f"exit code {done.returncode}: {done.stderr.strip()}")]
    rows = []
    run_json = folder / f"run_{case.name()}" / "run.json"
    for stage, figures in json.loads(run_json.read_text())["stages"].items():
        planned, measured, budget = (figures[k] for k in ("planned_peak_bytes", "peak_rss_bytes", "budget_bytes"))
        wrong = []
        if not figures["peak_rss_is_of_this_stage"]:
            wrong.append("the kernel gives no peak of a stage")
        if measured > budget:
            wrong.append("over the budget")
        if measured > planned:
            wrong.append("over the plan")
        if planned - measured > max(SLACK_SHARE * measured, SLACK_BYTES):
            wrong.append("planned too much")
        rows.append(Row(stage, memory, planned, measured, figures["seconds"], ", ".join(wrong)))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phase0", default=ROOT / "build/release/phase0")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("/tmp/phase0-bounds"))
    parser.add_argument("--small", action="store_true", help="a few configurations that take seconds")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of the configurations, from 0")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    cases = SMALL if args.small else CASES
    if args.only:
        cases = [cases[i] for i in args.only]
    print("| frames | D | W | K | threads | storage | restarts | budget | stage | planned MiB | measured MiB | seconds "
          "| |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|", flush=True)
    broken = 0
    start = time.time()
    for case in cases:
        for row in run_case(case, args.folder, args.phase0):
            print(f"| {case.frames:,} | {case.dim} | {case.window} | {case.k} | {case.threads} | {case.storage} | "
                  f"{case.restarts_on} | {row.memory} | {row.stage} | {row.planned / MIB:.0f} | "
                  f"{row.measured / MIB:.0f} | {row.seconds:.1f} | {row.wrong} |", flush=True)
            broken += bool(row.wrong)
    print(f"\n{len(cases)} configurations in {time.time() - start:.0f} s, {broken} bound(s) broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
