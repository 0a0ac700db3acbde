#!/usr/bin/env python3
"""phase0 against what people use today, as Markdown tables: the same data, threads and process limits, by turns, in one
run, every answer checked before a time counts.

    whole    from latents to variance ratios, 128 k rows x 512: a Python pipeline (python_pipeline.py)
    pca      top 8 components of 4096-d windows, 100 k rows: scikit-learn PCA (randomized) and IncrementalPCA
    kmeans   64 clusters of 100 k x 512, 10 restarts: scikit-learn and FAISS
    assign   nearest of 64 centroids at 512-d, of 256 at 8-d, from memory: scikit-learn and FAISS

    python3 -m venv build/peers && build/peers/bin/pip install -r bench/peers.txt
    cmake --preset release -DPHASE0_BUILD_BENCH=ON && cmake --build --preset release
    build/peers/bin/python bench/compare.py

For pca and kmeans phase0's time is that of the whole process of `phase0 fit`: start, reading, fitting, the ids of all
rows, writing. The peers' time is that of the fit call alone, on data in memory. `--fraction 0.4` tries the program on
fewer rows. The Python pipeline takes several GiB of memory.
"""

import argparse
import importlib
import os
import pathlib
import sys

import workload

PARTS = ("whole", "pca", "kmeans", "assign")  # whole first: see workload.py


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each tool; those that take minutes get one")
    parser.add_argument("--fraction", type=float, default=1.0, help="of the rows")
    parser.add_argument("--phase0", type=pathlib.Path, default=workload.ROOT / "build/release/phase0")
    parser.add_argument("--folder", type=pathlib.Path, default=workload.FOLDER, help="for data and runs")
    return parser.parse_args()


def set_environment(threads):
    """Of this process and all that it starts, before any library is loaded: how many threads, and kernels of BLAS
    that it chooses by itself."""
    for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(variable, None)
    cpus = sorted(os.sched_getaffinity(0))
    if threads > len(cpus):
        sys.exit(f"--threads {threads}: this process may use {len(cpus)} CPU(s)")
    os.sched_setaffinity(0, cpus[:threads])
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)


def main():
    arguments = parse_arguments()
    set_environment(arguments.threads)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        if part in arguments.parts:
            importlib.import_module(f"comparison.{part}").compare(arguments)
    import faiss
    import numpy
    import sklearn

    print(
        f"\n{arguments.threads} thread(s); scikit-learn {sklearn.__version__}, NumPy {numpy.__version__}, "
        f"FAISS {faiss.__version__} ({faiss.get_compile_options().strip()}); {workload.machine()}, this included"
    )


if __name__ == "__main__":
    main()
