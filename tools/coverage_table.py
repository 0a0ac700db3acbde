#!/usr/bin/env python3
"""Sums llvm-cov's summary (stdin) by layer of src/ and writes it by file; fails below a share of all lines."""

import argparse
import collections
import json
import pathlib
import sys


def percent(covered: int, count: int) -> str:
    return f"{100 * covered / count if count else 100:6.1f} %  {covered:6} of {count}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("table", type=pathlib.Path, help="where the lines of every file go")
    parser.add_argument("--fail-under", type=float, required=True, metavar="PERCENT")
    args = parser.parse_args()
    source = args.root.resolve() / "src"
    files = {}
    for entry in json.load(sys.stdin)["data"][0]["files"]:
        path = pathlib.Path(entry["filename"])
        if path.is_relative_to(source):
            lines = entry["summary"]["lines"]
            files[path.relative_to(source)] = (lines["covered"], lines["count"])
    layers = collections.defaultdict(lambda: [0, 0])
    for path, (covered, count) in files.items():
        for key in (path.parts[0], "all"):
            layers[key][0] += covered
            layers[key][1] += count
    args.table.write_text("".join(f"{percent(*files[p])}  {p}\n" for p in sorted(files)))
    for name in sorted(layers, key=lambda name: (name == "all", name)):
        print(f"{name:10}{percent(*layers[name])}")
    covered, count = layers["all"]
    if 100 * covered < args.fail_under * count:
        print(f"less than {args.fail_under:g} % of the lines of src/ are covered", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
