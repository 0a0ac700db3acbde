"""Sources that encoders turn into latents: `data.source`."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
import uuid

import h5py
import harness
import io_faults
import mock_encoder
import numpy as np
import pytest
from test_encoder_check import MOCK, tagged

N_SEQUENCES = 48
N_PATTERNS = int(os.environ.get("PHASE0_KILL_PATTERNS", "6"))  # 200 takes some minutes


@pytest.fixture(autouse=True)
def _binary(binary):
    pass


def chunks_of(i):
    """20 to 40 texts of different lengths; the first word is the sequence."""
    rng = np.random.default_rng(i)
    return [f"s{i:02d} {j} " + "x" * int(rng.integers(0, 300)) for j in range(int(rng.integers(20, 41)))]


def write_manifest(path, lines=None):
    if lines is None:
        lines = [{"id": f"s{i:02d}", "speaker": i % 24, "chunks": chunks_of(i)} for i in range(N_SEQUENCES)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_manifest(tmp_path_factory.mktemp("manifest") / "manifest.jsonl")


def encoder(mode, *args, name="mock", **keys):
    return {"name": name, "command": [sys.executable, str(MOCK), mode, *map(str, args)], **keys}


def config(manifest, where, *encoders, **changes):
    cfg = harness.base_config("none", where / "run")
    return harness.merged(cfg, {"data.latents": ..., "data.source.manifest": str(manifest),
                                "data.source.encoders": list(encoders),
                                **{key.replace("__", "."): value for key, value in changes.items()}})


def environment(where):
    """What tuning learns must not go from one test to the next."""
    return {**os.environ, "XDG_CACHE_HOME": str(where / "cache")}


def collect(manifest, where, *encoders, args=(), **changes):
    where.mkdir(parents=True, exist_ok=True)
    cfg = config(manifest, where, *encoders, **changes)
    path = harness.write_config(where / "config-in.yaml", cfg)
    return harness.run("collect", "-c", path, "--progress", "none", *args, env=environment(where))


def read_latents(where):
    with h5py.File(where / "run" / "latents.h5") as f:
        return harness.strings(f["utterances/id"]), harness.strings(f["utterances/speaker"]), \
            f["utterances/offset"][()], f["x"][()]


def check_latents(where, sequences=range(N_SEQUENCES)):
    """Every row is there once, in the order of the manifest, and is the mock's."""
    ids, speakers, offsets, x = read_latents(where)
    assert ids == [f"s{i:02d}" for i in sequences] and speakers == [str(i % 24) for i in sequences]
    want = [[np.frombuffer(mock_encoder.rows_of(text.encode(), 1)[1], "<f4").reshape(-1, 4) for text in chunks_of(i)]
            for i in sequences]
    assert np.array_equal(offsets, np.cumsum([0] + [sum(map(len, rows)) for rows in want]))
    assert np.array_equal(x, np.concatenate([np.concatenate(rows) for rows in want]))


@pytest.mark.skipif(not io_faults.LIBRARY, reason="PHASE0_FAILING_IO names no library")
@pytest.mark.parametrize("always", [False, True], ids=["once", "always"])
@pytest.mark.parametrize("family", ["fork", "_Fork"], ids=["warden", "encoder"])
def test_processes_that_cannot_be_started_for_a_while(manifest, tmp_path, monkeypatch, family, always):
    calls = tmp_path / "calls"  # of all wardens
    for name, value in (("LD_PRELOAD", io_faults.LIBRARY), ("PHASE0_IO_FAMILY", family), ("PHASE0_IO_FAULT", "EAGAIN"),
                        ("PHASE0_IO_AT", "1"), ("PHASE0_IO_ALWAYS", "1" if always else ""), ("PHASE0_IO_REPORT", str(calls))):
        monkeypatch.setenv(name, value)
    result = collect(manifest, tmp_path, encoder("ok"))
    if always:
        _, faults = struct.unpack("qq", calls.read_bytes())
        assert faults >= 7  # it is tried for a second
        assert result.code == 5 and "start a process: Resource temporarily unavailable" in result.err, str(result)
    else:
        assert result.code == 0, str(result)
        check_latents(tmp_path)


def facts_of_latents(where):
    return json.loads((where / "run" / "latents.json").read_text())["encoder"]


def facts(where):
    return json.loads((where / "run" / "run.json").read_text())["encoder"]


def test_encodes_and_runs_to_the_end(manifest, tmp_path):
    cfg = config(manifest, tmp_path, encoder("ok"), **{"clustering__min_cluster_size": 5, "data__min_duration_sec": 5})
    harness.run_ok(cfg, tmp_path)
    check_latents(tmp_path)
    assert not list((tmp_path / "run").glob("latents.rows")) and not list((tmp_path / "run").glob("latents.index"))
    figures = facts(tmp_path)
    assert figures["name"] == "mock" and figures["items"] == sum(len(chunks_of(i)) for i in range(N_SEQUENCES))
    assert 0 < figures["message_seconds_p50"] <= figures["message_seconds_p95"]
    assert figures["peak_memory_bytes"] > 1 << 20 and figures["skipped"] == []
    again = harness.run_config(cfg, tmp_path)
    assert again.code == 0 and "encoding: already done" in again.err
    # The resolved configuration can be run as it stands.
    result = harness.run("collect", "-c", tmp_path / "run" / "config.yaml", "--run-dir", tmp_path / "other",
                         "--progress", "none")
    assert result.code == 0, str(result)


@pytest.mark.parametrize("changes", [{"data__source__workers": 1, "data__source__batch": 1},
                                     {"data__source__workers": 3, "data__source__batch": 7},
                                     {"data__source__workers": 3}], ids=str)
def test_rows_do_not_depend_on_workers_and_batches(manifest, tmp_path, changes):
    result = collect(manifest, tmp_path, encoder("ok"), **changes)
    assert result.code == 0, str(result)
    check_latents(tmp_path)


def test_a_run_with_a_fixed_batch_is_byte_identical_to_its_repeat(manifest, tmp_path):
    """Rows of mode `batch` depend on how many items a message has."""
    def latents(name, **changes):
        where = tmp_path / name
        result = collect(manifest, where, encoder("batch"), data__source__batch=7, **changes)
        assert result.code == 0, str(result)
        return (where / "run" / "latents.h5").read_bytes()

    first = latents("first", data__source__workers=3)
    assert latents("again", data__source__workers=3) == first
    assert latents("alone", data__source__workers=1) == first
    result = collect(manifest, tmp_path / "other", encoder("batch"), data__source__batch=6)
    assert result.code == 0 and (tmp_path / "other" / "run" / "latents.h5").read_bytes() != first


def test_the_first_encoder_that_says_hello_is_used(manifest, tmp_path):
    mark = tmp_path / "started"
    never = {"name": "never", "command": ["touch", str(mark)]}
    missing = {"name": "missing", "command": ["there-is-no-such-command"]}
    result = collect(manifest, tmp_path, missing, encoder("hang_hello", name="hangs", hello_timeout_sec=0.3),
                     encoder("ok", name="good"), never)
    assert result.code == 0 and "encoder missing" in result.err and "encoder hangs" in result.err, str(result)
    assert facts(tmp_path)["name"] == "good" and not mark.exists()
    result = collect(manifest, tmp_path / "none", missing)
    assert result.code == 2 and "cannot be run" in result.err and not (tmp_path / "none" / "run").exists(), str(result)


@pytest.mark.parametrize("mode", ["hang", "crash", "garbage", "flood", "fork_crash", "wrong_rows", "nan", "internal"])
def test_failures_are_reported_by_id(manifest, tmp_path, mode):
    tag = uuid.uuid4().hex
    result = collect(manifest, tmp_path, encoder(mode, "--tag", tag, timeout_sec=0.3), data__source__workers=2)
    assert result.code == 3 and "utterance s" in result.err and "cannot be encoded" in result.err, str(result)
    assert tagged(tag) == []
    assert not (tmp_path / "run" / "latents.h5").exists() and not (tmp_path / "run" / "features.h5").exists()


def test_failures_can_be_skipped(manifest, tmp_path):
    result = collect(manifest, tmp_path, encoder("refuses"), data__on_encoder_error="skip")
    assert result.code == 0 and "s05: cannot be encoded: exited with code 1; its last words: not that one" in result.err
    check_latents(tmp_path, [i for i in range(N_SEQUENCES) if i != 5])
    assert facts(tmp_path)["skipped"] == ["s05"]


def test_very_many_skipped_sequences_are_counted(tmp_path):
    """A list of all their ids would be too long to be read back."""
    (tmp_path / "long.txt").write_text("x" * 10_001)
    lines = [{"id": f"s{i:02d}", "speaker": i % 24, "chunks": chunks_of(i)} for i in range(N_SEQUENCES)]
    lines += [{"id": f"{i}".ljust(4090, "y"), "speaker": 0, "path": str(tmp_path / "long.txt")} for i in range(4200)]
    manifest = write_manifest(tmp_path / "m.jsonl", lines)
    result = collect(manifest, tmp_path, encoder("ok"), data__on_encoder_error="skip")
    assert result.code == 0, str(result)
    check_latents(tmp_path)
    assert facts(tmp_path)["n_skipped"] == 4200 and 0 < len(facts(tmp_path)["skipped"]) < 1000
    again = collect(manifest, tmp_path, encoder("ok"), data__on_encoder_error="skip")
    assert again.code == 0 and "already done" in again.err, str(again)


@pytest.mark.parametrize("seed", range(N_PATTERNS))
def test_encoders_that_die_lose_and_repeat_nothing(manifest, tmp_path, seed):
    (tmp_path / "marks").mkdir()
    mock = encoder("dies", "--seed", seed, "--marks", tmp_path / "marks")
    result = collect(manifest, tmp_path, mock, data__source__workers=1 + seed % 3)
    assert result.code == 0, str(result)
    assert 8 <= len(list((tmp_path / "marks").iterdir())) < N_SEQUENCES
    check_latents(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_goes_on_where_it_was(manifest, tmp_path, number):
    tag = uuid.uuid4().hex
    cfg = config(manifest, tmp_path, encoder("slow", "--tag", tag), data__source__workers=2, data__source__batch=10)
    path = harness.write_config(tmp_path / "config-in.yaml", cfg)
    process = subprocess.Popen([str(harness.BINARY), "collect", "-c", str(path), "--progress", "none"],
                               stderr=subprocess.PIPE, text=True, env=environment(tmp_path))
    index = tmp_path / "run" / "latents.index"
    deadline = time.monotonic() + 60
    while not index.exists() or len(index.read_text().splitlines()) < 8:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate(timeout=harness.TIMEOUT)
    assert process.returncode == (6 if number == signal.SIGTERM else -9), err
    if number == signal.SIGTERM:
        assert tagged(tag) == []
    with open(index, "a") as f:
        f.write("47 12 3")  # a line that was being written
    result = harness.run("collect", "-c", path, "--progress", "none", env=environment(tmp_path))
    assert result.code == 0 and "sequences are encoded already" in result.err, str(result)
    check_latents(tmp_path)


def test_a_second_one_is_refused_before_its_encoder_is_started(manifest, tmp_path):
    cfg = config(manifest, tmp_path, encoder("slow"), data__source__workers=1, data__source__batch=1)
    path = harness.write_config(tmp_path / "config-in.yaml", cfg)
    process = subprocess.Popen([str(harness.BINARY), "collect", "-c", str(path), "--progress", "none"],
                               stderr=subprocess.DEVNULL, env=environment(tmp_path))
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "latents.index").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    started = tmp_path / "started"
    other = {"name": "other", "command": [sys.executable, "-c", f"open({str(started)!r}, 'x')"]}
    result = collect(manifest, tmp_path, other)
    process.kill()
    process.wait()
    assert result.code == 5 and f"another phase0 (process {process.pid} on " in result.err, str(result)
    assert not started.exists()


def test_a_worker_that_says_another_hello_is_done_without(manifest, tmp_path):
    (tmp_path / "marks").mkdir()
    result = collect(manifest, tmp_path, encoder("another_hello", "--marks", tmp_path / "marks"), data__source__workers=3)
    assert result.code == 0 and "2 of 3 encoders did not start" in result.err, str(result)
    check_latents(tmp_path)


def test_a_slow_encoder_gets_batches_that_its_time_limit_allows(tmp_path):
    lines = [{"id": f"s{i:02d}", "speaker": i, "chunks": [f"s{i:02d} {j:02d}" for j in range(20)]} for i in range(24)]
    manifest = write_manifest(tmp_path / "m.jsonl", lines[:2])
    result = collect(manifest, tmp_path, encoder("slow_items", timeout_sec=1.2), data__source__workers=1)
    assert (tmp_path / "run" / "latents.h5").exists(), str(result)
    assert facts_of_latents(tmp_path)["starts"] == 1


def test_the_rows_of_one_encoder_are_not_gone_on_with_by_another(manifest, tmp_path):
    """Both say the same name, and the first can no longer be had at the second start."""
    refusing = tmp_path / "refusing"
    refusing.symlink_to(sys.executable)
    first = {"name": "first", "command": [str(refusing), str(MOCK), "refuses"]}
    second = encoder("unstable", name="second")
    assert collect(manifest, tmp_path, first, second, data__source__workers=1).code == 3
    assert (tmp_path / "run" / "latents.index").exists()
    refusing.unlink()
    result = collect(manifest, tmp_path, first, second, data__source__workers=1)
    assert result.code == 0 and "encoded already" not in result.err, str(result)


def test_another_time_limit_or_policy_goes_on_with_what_is_there(manifest, tmp_path):
    assert collect(manifest, tmp_path, encoder("refuses"), data__source__workers=1).code == 3
    result = collect(manifest, tmp_path, encoder("refuses", timeout_sec=61, hello_timeout_sec=59),
                     data__source__workers=1, data__on_encoder_error="skip")
    assert result.code == 0 and "sequences are encoded already" in result.err, str(result)
    check_latents(tmp_path, [i for i in range(N_SEQUENCES) if i != 5])
    # Who will not have sequences left out does not get latents without them.
    result = collect(manifest, tmp_path, encoder("refuses"), data__source__workers=1)
    assert result.code == 3 and "s05: cannot be encoded" in result.err, str(result)


def test_changed_files_are_encoded_anew(tmp_path):
    lines = []
    for i in range(24):
        (tmp_path / f"{i}.txt").write_text(f"s{i:02d} a\ns{i:02d} b\n")
        lines.append({"id": f"s{i:02d}", "speaker": i, "path": str(tmp_path / f"{i}.txt")})
    manifest = write_manifest(tmp_path / "m.jsonl", lines)
    changes = {"data__min_duration_sec": 0, "context__window_size": 1, "context__lags": [1]}
    assert (first := collect(manifest, tmp_path, encoder("ok"), **changes)).code in (0, 2), str(first)
    assert "already done" in collect(manifest, tmp_path, encoder("ok"), **changes).err
    before = read_latents(tmp_path)[3]
    (tmp_path / "7.txt").write_text("s07 a\ns07 c\n")
    result = collect(manifest, tmp_path, encoder("ok"), **changes)
    assert "already done" not in result.err, str(result)
    after = read_latents(tmp_path)[3]
    assert np.flatnonzero((after != before).any(axis=1)).tolist() == [15]
    (tmp_path / "7.txt").unlink()
    result = collect(manifest, tmp_path, encoder("ok"), **changes)
    assert result.code == 3 and "m.jsonl:8: " in result.err and "7.txt" in result.err, str(result)


def test_the_first_to_be_encoded_is_the_longest_file_and_not_the_longest_path(tmp_path):
    """It shows what a worker takes."""
    (tmp_path / "0.txt").write_text("s00 a\n")
    (tmp_path / "5.txt").write_text("s05 a\n" * 100)
    lines = [{"id": "s00", "speaker": 0, "path": f"{tmp_path}/{'./' * 100}0.txt"},
             {"id": "s05", "speaker": 5, "path": f"{tmp_path}/5.txt"}]
    result = collect(write_manifest(tmp_path / "m.jsonl", lines), tmp_path, encoder("refuses"), data__source__workers=1)
    assert result.code == 3 and "s05" in result.err, str(result)
    assert len((tmp_path / "run" / "latents.index").read_text().splitlines()) == 1


@pytest.mark.parametrize("mode", ["fork", "daemon"])
def test_nothing_outlives_a_killed_phase0(manifest, tmp_path, mode):
    tag = uuid.uuid4().hex
    cfg = config(manifest, tmp_path, encoder(mode, "--tag", tag), data__source__workers=2, data__source__batch=5)
    path = harness.write_config(tmp_path / "config-in.yaml", cfg)
    process = subprocess.Popen([str(harness.BINARY), "collect", "-c", str(path), "--progress", "none"],
                               stderr=subprocess.DEVNULL, env=environment(tmp_path))
    deadline = time.monotonic() + 60
    while len(tagged(tag)) < 10:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while tagged(tag):
        assert time.monotonic() < deadline, tagged(tag)
        time.sleep(0.02)


@pytest.mark.parametrize("limit", [10, 50])
def test_tuning_ends_near_what_memory_holds(tmp_path, limit):
    lines = [{"id": f"s{i:02d}", "speaker": i, "chunks": [f"s{i:02d} {j:03d} " + "x" * 40 for j in range(400)]}
             for i in range(24)]
    manifest = write_manifest(tmp_path / "manifest.jsonl", lines)
    result = collect(manifest, tmp_path, encoder("memory", "--limit", limit, "--item-bytes", 200_000),
                     data__source__workers=1)
    assert result.code == 0, str(result)
    figures = facts(tmp_path)
    table = json.loads((tmp_path / "cache" / "phase0" / "tuning.json").read_text())["stages"]["encode"]
    assert 0.8 * limit <= max(table.values()) <= limit, (table, figures)
    assert 1 <= figures["out_of_memory"] <= 12
    with h5py.File(tmp_path / "run" / "latents.h5") as f:
        assert f["x"].shape[0] == 24 * 400 * 3


def test_more_memory_than_the_budget_ends_the_encoder(manifest, tmp_path):
    lines = [{"id": f"s{i:02d}", "speaker": i, "chunks": [f"s{i:02d} {j}" for j in range(9)]} for i in range(24)]
    short = write_manifest(tmp_path / "manifest.jsonl", lines)
    # An earlier run has learnt batches that are too large now.
    learnt = {f"encoder mock, items under {2 ** i} bytes": 8 for i in range(2, 7)}
    (tmp_path / "cache" / "phase0").mkdir(parents=True)
    (tmp_path / "cache" / "phase0" / "tuning.json").write_text(json.dumps({"version": 1, "stages": {"encode": learnt}}))
    result = collect(short, tmp_path, encoder("memory", "--limit", 1000, "--item-bytes", 40_000_000),
                     data__source__workers=2, args=("--memory", "256MiB"))
    assert result.code == 0, str(result)
    assert facts(tmp_path)["ended_for_memory"] >= 1
    assert facts(tmp_path)["items"] == 24 * 9
    assert read_latents(tmp_path)[3].shape == (24 * 9, 4)
    result = collect(manifest, tmp_path / "small", encoder("ok"), args=("--memory", "64MiB"))
    assert result.code == 4 and "one encoder needs" in result.err, str(result)


BAD_LINES = {
    "{": "not a line of JSON",
    "[]": "expected a JSON object",
    "": "not a line of JSON",
    '{"id": "b", "speaker": 1}': "expected either chunks or path",
    '{"id": "b", "speaker": 1, "chunks": ["x"], "path": "y"}': "expected either chunks or path",
    '{"id": "b", "speaker": 1, "chunks": []}': "at least one",
    '{"id": "b", "speaker": 1, "chunks": ["x", 3]}': "number 1 is no text",
    '{"id": "b", "speaker": 1.5, "chunks": ["x"]}': "speaker: expected a text or an integer",
    '{"id": "", "speaker": 1, "chunks": ["x"]}': "id: expected 1 to",
    '{"speaker": 1, "chunks": ["x"]}': 'key "id" is missing',
    '{"id": "a", "speaker": 1, "chunks": ["x"]}': 'id "a" stands in line 1 already',
    '{"id": "b", "speaker": 1, "chunk": ["x"]}': 'unknown key "chunk"',
    '{"id": "b", "speaker": 1, "path": "there/is/none.wav"}': "there is no file there/is/none.wav",
    '{"id": "b", "speaker": 1, "chunks": ["\udcff"]}': "not a line of JSON",
    '{"id": "b", "speaker": 1, "chunks": ["x"], "id": "c"}': 'key "id" stands twice',
    '{"id": "b", "speaker": 1, "chunks": ["x"], "chunks": ["y"]}': 'key "chunks" stands twice',
    '{"id": "b", "speaker": 1, "chunks": "x"}': "chunks: expected a list of texts",
    '{"id": "b", "speaker": [1], "chunks": ["x"]}': "speaker: expected a text or an integer",
    '{"id": "b", "speaker": {"x": 1}, "chunks": ["x"]}': "nested too deep",
    '{"id": "b", "speaker": 1, "path": "/dev/null"}': "/dev/null: not a regular file",
    '{"id": "b", "speaker": 1, "chunks": ["x"]} {}': "not a line of JSON",
    '{"id": "b", "speaker": 1, "chunks": [' + '"a",' * 200_000 + '"a"]}': "more than 100000 texts",
    '{"id": "b", "speaker": 1, "chunks": ' + "[" * 9999 + "]" * 9999 + "}": "nested too deep",
}


@pytest.mark.parametrize("line", BAD_LINES, ids=lambda line: line[:40])
def test_manifests_are_refused_with_file_and_line(tmp_path, line):
    good = json.dumps({"id": "a", "speaker": "s", "chunks": ["x"]})
    (tmp_path / "m.jsonl").write_bytes(f"{good}\n{line}\n".encode(errors="surrogateescape"))
    result = collect(tmp_path / "m.jsonl", tmp_path, encoder("ok"))
    assert result.code == 3 and f"m.jsonl:2: " in result.err and BAD_LINES[line] in result.err, str(result)
    assert not (tmp_path / "run").exists()


def test_files_and_kinds(tmp_path):
    (tmp_path / "text.txt").write_text("first\n\nsecond\r\nthird")
    lines = [{"id": "a", "speaker": "s", "path": str(tmp_path / "text.txt")}]
    manifest = write_manifest(tmp_path / "m.jsonl", lines)
    result = collect(manifest, tmp_path, encoder("ok"))
    assert (tmp_path / "run" / "latents.h5").exists(), str(result)
    assert read_latents(tmp_path)[3].shape == (3, 4)
    log_mel = {"name": "mel", "command": [sys.executable, str(harness.ROOT / "tools" / "encoders" / "log_mel.py")]}
    result = collect(write_manifest(tmp_path / "n.jsonl", [{"id": "a", "speaker": "s", "chunks": ["x"]}]),
                     tmp_path / "wav", log_mel)
    assert result.code == 3 and "the encoder takes wav files" in result.err, str(result)


def test_configurations_that_exclude_each_other(manifest, tmp_path):
    def rejection(**changes):
        result = collect(manifest, tmp_path, encoder("ok"), **changes)
        assert result.code == 2 and not (tmp_path / "run").exists(), str(result)
        return result.err

    assert "got both" in rejection(data__latents="x.h5")
    assert "data.source.encoders: expected at least one entry" in rejection(data__source__encoders=...)
    assert "no manifest" in rejection(data__source__manifest=..., data__latents="x.h5")
    assert "NAME=VALUE" in rejection(data__source__encoders=[encoder("ok", env=["x"])])
    assert "expected a program" in rejection(data__source__encoders=[{"name": "a", "command": []}])
    assert "is taken by" in rejection(data__source__encoders=[encoder("ok"), encoder("ok")])
    assert "batch" in rejection(data__source__batch=-1)


def test_plan_wants_the_source_encoded(manifest, tmp_path):
    path = harness.write_config(tmp_path / "c.yaml", config(manifest, tmp_path, encoder("ok")))
    result = harness.run("plan", "-c", path)
    assert result.code == 2 and "not encoded yet" in result.err, str(result)
