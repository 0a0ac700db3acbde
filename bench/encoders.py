#!/usr/bin/env python3
"""Encoding documents with a sentence encoder: tuned batches against fixed ones, and memory against one call per document.

    .venv/bin/python bench/encoders.py [--documents 53 --chunks 575 --tokens 512 --turns 2]

Runs take turns. Rows of every run are compared with those of the first before a time is printed. Memory is that of the
process tree as proportional set size, looked at here for at most a fiftieth of the time. The encoder is tools/encoders/sentence.py in
.venv-encoders (see configs/text.yaml).
"""

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
WORDS = "time year people way day man thing woman life child world school state family student group country".split()
CONFIG = """data:
  source:
    manifest: {manifest}
    workers: {workers}
    batch: {batch}
    encoders:
      - name: minilm
        command: [{python}, {encoder}, --max-tokens, {tokens}, --max-items, {most}]
        timeout_sec: 3600
        hello_timeout_sec: 600
  min_duration_sec: 2
splits: {{n_train_speakers: 1, n_eval_speakers: 1, seed: 1}}
context: {{window_size: 1, lags: [1]}}
clustering:
  conditions: [{{name: vq, type: mean_pool_vq, k: 2}}]
slices: [{{name: all, filter: null}}]
output: {{dir: {folder}/run}}
"""


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=53)
    parser.add_argument("--chunks", type=int, default=575, help="of the longest document")
    parser.add_argument("--tokens", type=int, default=512, help="of a chunk")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--memory", default="1.5GiB")
    parser.add_argument("--batches", default="0,1,2,4,8,16,32", help="0 is tuned; -1 a whole document, with one worker and no limit")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/phase0-bench/encoders"))
    return parser.parse_args()


def write_manifest(path, arguments):
    """Documents of an eighth of --chunks up to --chunks; a word is a token, and two frame the text."""
    rng = random.Random(7)
    sizes = [arguments.chunks] + [rng.randint(max(2, arguments.chunks // 8), arguments.chunks)
                                  for _ in range(arguments.documents - 1)]
    with path.open("w") as file:
        for i, size in enumerate(sizes):
            chunks = [" ".join(rng.choices(WORDS, k=arguments.tokens - 2)) for _ in range(size)]
            file.write(json.dumps({"id": f"d{i:02d}", "speaker": i % 2, "chunks": chunks}) + "\n")
    return sum(sizes)


def tree_bytes(root):
    """Proportional set size of a process and all below it."""
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += 1024 * int(line.split()[1])
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return total


class Peak(threading.Thread):
    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.bytes, self.done = pid, 0, threading.Event()

    def run(self):
        pause = 0.05
        while not self.done.wait(pause):
            begin = time.perf_counter()
            self.bytes = max(self.bytes, tree_bytes(self.pid))
            pause = max(0.05, 50 * (time.perf_counter() - begin))  # to look is work for the kernel


def run(arguments, manifest, batch):
    """{seconds, CPU seconds, peak bytes, what run.json says of the encoder, rows}"""
    folder = arguments.folder / "work"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(
        manifest=manifest, workers=1 if batch < 0 else arguments.workers, batch=4096 if batch < 0 else batch,
        python=ROOT / ".venv-encoders/bin/python", encoder=ROOT / "tools/encoders/sentence.py", tokens=arguments.tokens,
        most=max(64, arguments.chunks), folder=folder))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    process = subprocess.Popen([ROOT / "build/release/phase0", "collect", "-c", config, "--progress", "none", "-q",
                                *([] if batch < 0 else ["--memory", arguments.memory])],
                               env={**os.environ, "XDG_CACHE_HOME": str(folder)})
    peak = Peak(process.pid)
    peak.start()
    if process.wait() != 0:
        sys.exit(f"batch {batch}: exit code {process.returncode}")
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak.done.set()
    peak.join()
    with h5py.File(folder / "run/latents.h5") as file:
        rows = file["x"][()]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu": cpu, "bytes": peak.bytes, "rows": rows,
            "says": json.loads((folder / "run/latents.json").read_text())["encoder"]}


def main():
    arguments = parse_arguments()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    manifest = arguments.folder / "manifest.jsonl"
    n_chunks = write_manifest(manifest, arguments)
    print(f"{arguments.documents} documents, {n_chunks} chunks of {arguments.tokens} tokens, {arguments.workers} workers "
          f"asked for, {arguments.memory}", flush=True)
    batches = [int(batch) for batch in arguments.batches.split(",")]
    results, reference = {batch: [] for batch in batches}, None
    for turn in range(arguments.turns):
        for batch in batches if turn % 2 == 0 else batches[::-1]:
            result = run(arguments, manifest, batch)
            rows = result.pop("rows")
            reference = rows if reference is None else reference
            if rows.shape != reference.shape or not np.allclose(rows, reference, atol=1e-5):
                sys.exit(f"batch {batch}: other rows")
            results[batch].append(result)
            print(f"  turn {turn}, batch {batch}: {result['seconds']:.1f} s", file=sys.stderr, flush=True)
    print("| batch | workers | s (least) | CPU s (least) | peak MiB | messages | p50 s | p95 s | out of memory |\n" + "|---" * 9 + "|")
    for batch, runs in results.items():
        says = runs[-1]["says"]
        name = {0: "tuned", -1: "a document"}.get(batch, batch)
        print(f"| {name} | {says['workers']} | {min(r['seconds'] for r in runs):.1f} | {min(r['cpu'] for r in runs):.1f} | "
              f"{max(r['bytes'] for r in runs) / 2**20:.0f} | {says['messages']} | {says['message_seconds_p50']:.2f} | "
              f"{says['message_seconds_p95']:.2f} | {says['out_of_memory']} |")


if __name__ == "__main__":
    main()
