#!/usr/bin/env python3
"""Measures the memory that phase0 takes for common workloads, and keeps the table in README.md true to it.

    measure  runs the workloads that are named (default: all) and stores their figures in bench/memory.json
    write    puts the table made from bench/memory.json into README.md
    check    fails when README.md is not what `write` would make

Peak is VmHWM of the stage as run.json records it, mapped file pages included; steady is the median of the resident set,
looked at every 20 ms. Needs the virtual environment of tools/python_env.sh; the largest workload needs 10 GB of disk.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIGURES = ROOT / "bench" / "memory.json"
README = ROOT / "README.md"
BEGIN, END = "<!-- memory table: tools/memory_table.py -->\n", "<!-- end of memory table -->\n"
STAGES = ("collect", "fit", "analyze")
MIB = 1 << 20

# The reference conditions at lag 1. A few iterations of k-means take the memory of a hundred.
CONFIG = """\
seed: 42
data: {{latents: {latents}, min_duration_sec: 3.0}}
splits: {{n_train_speakers: 200, n_eval_speakers: 51}}
context: {{window_size: {window}, lags: [1]}}
features: {{storage: {storage}}}
clustering:
  min_cluster_size: 100
  kmeans: {{n_init: {n_init}, max_iter: 5, tol: 1.0e-4, restarts_on: auto}}
  conditions:
    - {{name: mean_vq, type: mean_pool_vq, k: {k_mean}}}
    - {{name: pca8_vq, type: pca_vq, pca_dim: 8, k: {k_pca}}}
    - {{name: pca8_quartile, type: pca_quartile, pca_dim: 8}}
slices:
  - {{name: all, filter: null}}
  - {{name: high_energy, filter: energy_above_median}}
  - {{name: utterance_medial, filter: pos_frac_0.17_0.83}}
metrics: {{permutations: 20}}
output: {{dir: {out}}}
"""


def workload(frames, storage="window", k_mean=64, k_pca=256, n_init=10, memory="512MiB"):
    return {"frames": frames, "storage": storage, "k_mean": k_mean, "k_pca": k_pca, "n_init": n_init, "memory": memory}


WORKLOADS = {
    "demo": None,  # configs/demo.yaml
    "100 k rows": workload(106_000),
    "1 M rows": workload(1_060_000),
    "4.5 M rows": workload(4_770_000, memory="1GiB"),
    "100 k rows, dense": workload(106_000, storage="dense"),
    "100 k rows, k 1024, 2 restarts": workload(106_000, k_mean=1024, k_pca=1024, n_init=2),
    "40 k rows, k 4096, 2 restarts": workload(41_000, k_mean=4096, k_pca=4096, n_init=2),
}


def latents(frames, folder):
    path = folder / f"latents_{frames}.h5"
    if not path.exists():
        subprocess.run([sys.executable, ROOT / "bench/make_latents.py", "--frames", str(frames), "--dim", "512",
                        "--speakers", "251", "--seed", "1", "--out", path], check=True, stdout=subprocess.DEVNULL)
    return path


def arguments(name, folder):
    """Flags of a workload, and its run directory."""
    run = folder / ("memory_" + name.replace(" ", "_").replace(",", ""))
    w = WORKLOADS[name]
    if w is None:
        return ["-c", str(ROOT / "configs/demo.yaml"), "--run-dir", str(run), "--memory", "512MiB"], run
    config = folder / f"{run.name}.yaml"
    config.write_text(CONFIG.format(latents=latents(w["frames"], folder), window=8, storage=w["storage"],
                                    k_mean=w["k_mean"], k_pca=w["k_pca"], n_init=w["n_init"],
                                    out=run))
    return ["-c", str(config), "--memory", w["memory"]], run


def resident_bytes(pid):
    try:
        return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    except (OSError, IndexError):
        return None  # it has just ended


def run_stage(binary, stage, flags):
    """Median of the resident set."""
    with subprocess.Popen([binary, stage, *flags, "--fresh", "--progress", "none", "-q"], cwd=ROOT,
                          stdout=subprocess.DEVNULL) as process:
        samples = []
        while process.poll() is None:
            samples.append(resident_bytes(process.pid))
            time.sleep(0.02)
    if process.returncode != 0:
        raise SystemExit(f"{stage} {' '.join(flags)}: exit code {process.returncode}")
    return statistics.median([s for s in samples if s])


def measure(name, folder, binary):
    flags, run = arguments(name, folder)
    steady = {stage: run_stage(binary, stage, flags) for stage in STAGES}
    facts = json.loads((run / "run.json").read_text())["stages"]
    plan = json.loads(subprocess.run([binary, "plan", "--json", *flags, "-q"], cwd=ROOT, check=True,
                                     capture_output=True, text=True).stdout)
    figures = {"budget_bytes": facts["fit"]["budget_bytes"], "rows": facts["collect"]["rows"]}
    for stage in STAGES:
        # The first part is the program itself.
        parts = next(s for s in plan["stages"] if s["stage"] == stage)["memory"]
        figures[stage] = {"steady_bytes": steady[stage], "peak_bytes": facts[stage]["peak_rss_bytes"],
                          "planned_bytes": facts[stage]["planned_peak_bytes"],
                          "largest": max(parts[1:], key=lambda part: part["bytes"])["name"]}
    return figures


def table(figures):
    lines = ["| workload | budget | stage | steady MiB | peak MiB | planned MiB | mostly |", "|---|---|---|---|---|---|---|"]
    for name in WORKLOADS:
        if name not in figures:
            continue
        f = figures[name]
        for stage in STAGES:
            s = f[stage]
            what = f"{name} ({f['rows']:,})" if stage == STAGES[0] else ""
            budget = f"{f['budget_bytes'] / MIB:.0f} MiB" if stage == STAGES[0] else ""
            lines.append(f"| {what} | {budget} | {stage} | {s['steady_bytes'] / MIB:.0f} | {s['peak_bytes'] / MIB:.0f} | "
                         f"{s['planned_bytes'] / MIB:.0f} | {s['largest']} |")
    return "\n".join(lines) + "\n"


def page_with_table(page, figures):
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + table(figures) + END + after


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["measure", "write", "check"])
    parser.add_argument("workloads", nargs="*", help="names, for `measure`")
    parser.add_argument("--phase0", default=str(ROOT / "build/release/phase0"))
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("/tmp/phase0-bench"))
    args = parser.parse_args()
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    if args.action == "measure":
        args.folder.mkdir(parents=True, exist_ok=True)
        for name in args.workloads or WORKLOADS:
            figures[name] = measure(name, args.folder, args.phase0)
            FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
            print(name, json.dumps(figures[name]), flush=True)
        return
    page = README.read_text()
    wanted = page_with_table(page, figures)
    if args.action == "write":
        README.write_text(wanted)
    elif page != wanted:
        raise SystemExit("README.md: the memory table is not that of bench/memory.json; tools/memory_table.py write")


if __name__ == "__main__":
    main()
