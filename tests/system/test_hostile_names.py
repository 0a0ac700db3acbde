"""Names from a file of somebody else end up in tables, pages and messages: they must stay text there."""

import html.parser
import json
import re

import bad_files
import harness
import latents
import numpy as np
import pytest
from test_bad_input import config

SPEAKERS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", 'a","b', "line\nbreak", "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>", "&amp;\"'", "\x1b[31mred", "naïve 名", "a;b", " ", "../../etc/passwd",
            "\x9b31mred", "\u202eder"]
IDS = ["<b>0</b>", "=1", "\x1b[2J", "a,b", '"', "'", "\n", "%s%n", "/", "..", "ü", "x" * 1000, "\\", "$(id)", "`id`", "{}",
       "\x9b2J", "\u2028\u2066"]
FORMULA_STARTS = tuple("=+-@\t\r")
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def corpus():
    rng = np.random.default_rng(3)
    xs = [rng.standard_normal((80, 3)) for _ in SPEAKERS]
    return latents.Corpus(IDS, SPEAKERS, xs, [rng.random(80).astype(np.float32) for _ in SPEAKERS])


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.elements, self.handlers, self.text = set(), set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.handlers |= {name for name, _ in attrs if name.startswith("on")}

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory):
    where = tmp_path_factory.mktemp("hostile") / "<img src=x onerror=alert(1)> 'a' \"b\" & =1"
    where.mkdir()
    latents.write(where / "latents.h5", corpus())
    cfg = config(where, **{"splits.n_train_speakers": 10, "splits.n_eval_speakers": 8})
    result = harness.run_config(cfg, where)
    assert result.code == 0, str(result)
    return where, result


def test_tables_hold_names_as_text(hostile_run):
    where, _ = hostile_run
    for name in harness.CSV_FILES:
        header = harness.csv_header(where / "run" / name)
        for row in harness.read_csv(where / "run" / name):
            assert list(row) == header and None not in row.values(), f"{name}: {row}"
            for value in row.values():
                assert re.fullmatch(r"-?[0-9.].*", value) or not value.startswith(FORMULA_STARTS), f"{name}: {value!r}"
    read = {row["speaker"] for row in harness.read_csv(where / "run" / "speakers.csv")}
    assert read == {"'" + s if s.startswith(FORMULA_STARTS) else s for s in SPEAKERS}


def test_the_page_is_inert(hostile_run):
    where, _ = hostile_run
    page = Page((where / "run" / "report.html").read_text())
    assert not page.elements & {"script", "img", "iframe", "object", "embed", "base", "form"}
    assert page.handlers == set()
    for speaker in ("<script>alert(1)</script>", "&amp;\"'"):
        assert speaker in page.text
    assert str(where) in page.text


def test_the_terminal_sees_no_escapes(hostile_run):
    where, result = hostile_run
    shown = harness.run("inspect", where / "latents.h5")
    again = harness.run("inspect", where / "run")
    assert shown.code == 0 and again.code == 0, f"{shown}{again}"
    for text in (result.out, result.err, shown.out, again.out, (where / "run" / "report.txt").read_text()):
        assert not UNPRINTABLE.search(text)


def test_json_files_are_json(hostile_run):
    where, _ = hostile_run
    for name in ("run.json", "metrics.json", "decision.json"):
        json.loads((where / "run" / name).read_text())
    harness.run_ok(config(where, **{"splits.n_train_speakers": 10, "splits.n_eval_speakers": 8}), where)


@pytest.mark.parametrize("index", [0, 2, 6, 11, 16, 17])
def test_errors_name_a_hostile_utterance_readably(tmp_path, index):
    made = corpus()
    made.xs[index][7, 1] = np.nan
    latents.write(tmp_path / "latents.h5", made)
    result = harness.run_config(config(tmp_path), tmp_path)
    assert result.code == 3 and "frame 7" in result.err and len(result.err) < 800, str(result)
    assert not UNPRINTABLE.search(result.err)
    assert all(line.startswith("phase0: ") for line in result.err.splitlines()), str(result)


@pytest.mark.parametrize("name", ["=x", "a\nb", "\x1b[2J", "<b>", " ", "a" * 120])
def test_names_of_conditions_are_restricted(tmp_path, name):
    """They become groups of HDF5 files and columns of tables."""
    bad_files.good(tmp_path / "latents.h5")
    condition = {"name": name, "type": "mean_pool_vq", "k": 2}
    result = harness.run_config(config(tmp_path, **{"clustering.conditions": [condition]}), tmp_path)
    assert result.code == 2 and "name" in result.err and "\x1b" not in result.err, str(result)
