"""The whole run: from a file of latents to the table of variance ratios, phase0 and python_pipeline.py as processes."""

import csv
import json
import math
import random
import sys

import workload
from comparison.turns import Tool, Turn, print_table, take_turns

FRAMES = 136_000  # about 102,500 train and 26,000 eval rows
TOLERANCES = {"mean_vq64": 1e-2, "pca8_vq256": 1e-2, "pca8_quartile": 1e-3}  # k-means ends in a local minimum


def speaker_files(folder):
    names = [f"spk{s:04d}" for s in range(251)]
    random.Random(42).shuffle(names)
    files = {"train": folder / "train_speakers.txt", "eval": folder / "eval_speakers.txt"}
    files["train"].write_text("\n".join(names[:200]) + "\n")
    files["eval"].write_text("\n".join(names[200:]) + "\n")
    return files


def ratios_of_table(path):
    """{(condition, slice): (train, eval)} of tables.csv; NaN where no cluster is large enough."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    columns = ("train_variance_ratio", "eval_variance_ratio")
    return {(row["condition"], row["slice"]): tuple(float(row[c] or "nan") for c in columns) for row in rows}


def difference(expected, actual):
    """{condition: largest relative difference of a variance ratio}"""
    if expected.keys() != actual.keys():
        sys.exit(f"whole: other results: {sorted(actual)}, not {sorted(expected)}")
    largest = dict.fromkeys(TOLERANCES, 0.0)
    for key, values in expected.items():
        for one, other in zip(values, actual[key]):
            if math.isnan(one) != math.isnan(other):
                sys.exit(f"whole: {key} is {one} and {other}")
            if not math.isnan(one):
                largest[key[0]] = max(largest[key[0]], abs(one / other - 1))
    return largest


def compare(arguments):
    frames = int(FRAMES * arguments.fraction)
    latents = workload.make_latents(frames, arguments.folder)
    speakers = speaker_files(arguments.folder)
    out, results = arguments.folder / "whole_run", arguments.folder / "whole_python.json"
    splits = {"train_speakers_file": str(speakers["train"]), "eval_speakers_file": str(speakers["eval"])}
    config = workload.configuration(latents, out) | {"splits": splits}
    path = workload.write_configuration(arguments.folder / "whole.json", config)

    def phase0(_):
        flags = ["--fresh", "-q", "--progress", "none", "--memory", "512MiB", "--threads", arguments.threads]
        taken = workload.measured([arguments.phase0, "run", "-c", path, *flags])
        # Every stage starts the kernel's count of its peak anew, so the process's own is that of the last.
        stages = json.loads((out / "run.json").read_text())["stages"].values()
        peak = max(taken.peak_bytes, *(stage["peak_rss_bytes"] for stage in stages))
        return Turn([taken.seconds], taken.cpu_seconds, (peak, ratios_of_table(out / "tables.csv")))

    def python(_):
        command = [sys.executable, workload.ROOT / "bench/python_pipeline.py", latents, *speakers.values(), results]
        taken = workload.measured(command)
        answers = json.loads(results.read_text())
        ratios = {(row["condition"], row["slice"]): (row["train"], row["eval"]) for row in answers}
        return Turn([taken.seconds], taken.cpu_seconds, (taken.peak_bytes, ratios))

    expected = {}

    def check(tool, answer):
        peak, ratios = answer
        if tool.name == "phase0":
            expected["ratios"] = ratios
            return peak, None
        largest = difference(expected["ratios"], ratios)
        if any(largest[name] > TOLERANCES[name] for name in largest):
            sys.exit(f"whole: variance ratios differ by {largest}")
        return peak, largest

    def cell(answers):
        text = f"{max(peak for peak, _ in answers) / 2**20:,.0f} MiB"
        for _, largest in answers[:1]:
            if largest:
                text += "; ratios differ by " + ", ".join(f"{v:.1e} {name}" for name, v in largest.items())
        return text

    turns = take_turns([Tool("phase0", phase0), Tool("Python", python)], arguments.rounds, check)
    facts = json.loads((out / "run.json").read_text())["stages"]
    title = f"whole run, {facts['collect']['n_train']:,} + {facts['collect']['n_eval']:,} rows x 512, one lag"
    print_table(title, turns, "peak memory", cell)
    stages = ", ".join(f"{stage} {facts[stage]['seconds']:.1f} s" for stage in ("collect", "fit", "analyze"))
    print(f"\nphase0, last turn: {stages}. Times are of whole processes.")
