#!/usr/bin/env python3
"""Makes a manifest (data/ENCODER.md) of the documents on a Debian machine: manual pages and package documentation.

    tools/make_text_manifest.py --out data/text.jsonl

A sequence is a document, its items are sentences, its speaker is the package that it belongs to. The choice is seeded, but
for what is installed. Standard library only.
"""

import argparse
import gzip
import json
import random
import re
from collections import defaultdict
from pathlib import Path

DOC_NAMES = re.compile(r"(readme|news|faq|todo|intro|guide|manual|.*\.txt)", re.IGNORECASE)
MARKUP_LINE = re.compile(r"^[.'](\\\"|[A-Za-z]{1,4}\b)? ?")  # a request of roff: its arguments are text
ESCAPE = re.compile(r"\\(f[A-Z]|f\([A-Z]{2}|s[-+]?\d+|[&|^%c]|\*\(?[A-Za-z\"]{1,2})")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")
MAX_FILE_BYTES = 4 << 20


def read(path):
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            return file.read(MAX_FILE_BYTES).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError):
        return ""


def plain_manual(text):
    """The text of a manual page without its markup, near enough for sentences."""
    lines = []
    for line in text.splitlines():
        if line.startswith((".\\\"", "'\\\"", ".TH", ".so", ".ds", ".de", ".if", ".ie", ".el", ".nr", ".tr", ".rm")):
            continue
        lines.append(ESCAPE.sub("", MARKUP_LINE.sub("", line)).replace("\\-", "-").replace("\\e", "\\"))
    return "\n".join(lines)


def sentences(text, longest):
    found = []
    for paragraph in re.split(r"\n\s*\n", text):
        for sentence in SENTENCE_END.split(" ".join(paragraph.split())):
            if len(re.findall(r"[A-Za-z]{2,}", sentence)) >= 3:  # no tables, rules and code alone
                found.append(sentence[:longest])
    return found


def packages_of_manuals():
    """{path: package}, as the package manager has it."""
    owners = {}
    for listing in sorted(Path("/var/lib/dpkg/info").glob("*.list")):
        for line in listing.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("/usr/share/man/man"):
                owners[line] = listing.stem.split(":")[0]
    return owners


def documents():
    """Yields (id, speaker, path, is a manual page)."""
    owners = packages_of_manuals()
    for path in sorted(Path("/usr/share/doc").glob("*/*")):
        if path.is_file() and not path.is_symlink() and DOC_NAMES.match(path.name):
            yield f"doc/{path.parent.name}/{path.name}", path.parent.name, path, False
    for path in sorted(Path("/usr/share/man").glob("man[1-8]/*.gz")):
        if path.is_file() and not path.is_symlink() and str(path) in owners:
            yield f"{path.parent.name}/{path.name}", owners[str(path)], path, True


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=400, help="at most (default 400)")
    parser.add_argument("--least", type=int, default=24, help="sentences of a document")
    parser.add_argument("--most", type=int, default=200, help="sentences taken of a document")
    parser.add_argument("--longest", type=int, default=1000, help="characters of a sentence")
    parser.add_argument("--per-speaker", type=int, default=5, help="documents of a speaker at most")
    parser.add_argument("--seed", type=int, default=42)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    choice = list(documents())
    random.Random(arguments.seed).shuffle(choice)
    taken, n_of_speaker = [], defaultdict(int)
    for name, speaker, path, is_manual in choice:
        if len(taken) == arguments.documents:
            break
        if n_of_speaker[speaker] == arguments.per_speaker:
            continue
        text = read(path)
        chunks = sentences(plain_manual(text) if is_manual else text, arguments.longest)[:arguments.most]
        if len(chunks) >= arguments.least:
            n_of_speaker[speaker] += 1
            taken.append({"id": name, "speaker": speaker, "chunks": chunks})
    taken.sort(key=lambda line: line["id"])
    with arguments.out.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in taken)
    n_chunks = sum(len(line["chunks"]) for line in taken)
    n_speakers = len({line["speaker"] for line in taken})
    print(f"{arguments.out}: {len(taken)} documents of {n_speakers} packages, {n_chunks} sentences")


if __name__ == "__main__":
    main()
