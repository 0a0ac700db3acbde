"""phase0 import INPUT OUT.h5 -- ENCODER: sounds and texts by an encoder (data/ENCODER.md)."""

import os
import subprocess
import sys
import time
import wave
from pathlib import Path

import h5py
import harness
import mock_encoder
import numpy as np
import pytest
from test_encoder_check import MOCK

LOG_MEL = harness.ROOT / "tools" / "encoders" / "log_mel.py"
BY_ID = ("--speaker-separator", "_")
RATE_HZ = 22050


@pytest.fixture(autouse=True)
def _binary(binary):
    pass


def run(source, out, *encoder, flags=BY_ID):
    env = {**os.environ, "XDG_CACHE_HOME": str(out.parent / "cache")}
    return harness.run("import", source, out, "--progress", "none", *flags, "--", sys.executable, *encoder, env=env)


def refused(source, out, code, *fragments, encoder=(MOCK, "ok"), flags=BY_ID):
    result = run(source, out, *encoder, flags=flags)
    assert result.code == code and all(str(f) in result.err for f in fragments), str(result)
    assert not out.exists()
    return result


def write_wav(path, seed, seconds=2.0, rate=RATE_HZ):
    samples = (np.random.default_rng(seed).standard_normal(int(seconds * rate)) * 3000).astype("<i2")
    with wave.open(str(path), "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(rate)
        audio.writeframes(samples.tobytes())
    return samples


def stored(path):
    with h5py.File(path) as f:
        offsets, x = f["utterances/offset"][()], f["x"][()]
        return {name: (speaker, x[a:b]) for name, speaker, a, b in zip(
            harness.strings(f["utterances/id"]), harness.strings(f["utterances/speaker"]), offsets, offsets[1:])}


def test_sounds(tmp_path):
    sys.path.insert(0, str(LOG_MEL.parent))
    import log_mel
    folder = tmp_path / "sounds"
    folder.mkdir()
    samples = {f"s{i % 3}_u{i}": write_wav(folder / f"s{i % 3}_u{i}.wav", i, 1 + i / 3) for i in range(6)}
    (folder / "notes.md").write_text("neither sound nor text")
    out = tmp_path / "out.h5"
    result = run(folder, out, LOG_MEL)
    assert result.code == 0, str(result)
    assert "6 utterances" in result.out and "12.5 Hz" in result.out
    found = stored(out)
    assert list(found) == sorted(samples)
    for name, (speaker, frames) in found.items():
        want = log_mel.log_mel(samples[name] / 32768.0, log_mel.mel_filterbank()).astype(np.float16)
        assert speaker == name.split("_")[0] and frames.dtype == np.float16 and frames.tobytes() == want.tobytes()
    assert sorted(os.listdir(tmp_path)) == ["cache", "out.h5", "sounds"]
    assert harness.run("inspect", out).code == 0


def test_texts_with_a_file_of_speakers(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    texts = {f"d{i}": [f"document {i}", f"line {i} " + "x" * 60] for i in range(5)}
    for name, lines in texts.items():
        (folder / f"{name}.txt").write_text("\n\n".join(lines) + "\n")
    speakers = tmp_path / "speakers"
    speakers.write_text("".join(f"{name} author {i % 2}\n" for i, name in enumerate(texts)))
    out = tmp_path / "out.h5"
    result = run(folder, out, MOCK, "ok", flags=("--speakers", speakers))
    assert result.code == 0, str(result)
    found = stored(out)
    assert {name: speaker for name, (speaker, _) in found.items()} == \
        {name: f"author {i % 2}" for i, name in enumerate(texts)}
    for name, lines in texts.items():
        want = b"".join(mock_encoder.rows_of(line.encode(), 1)[1] for line in lines)
        assert found[name][1].tobytes() == want


def test_what_is_encoded_is_kept_for_the_next_start(tmp_path):
    folder = tmp_path / "sounds"
    folder.mkdir()
    for i in range(4):
        write_wav(folder / f"s_{i}.wav", i)
    write_wav(folder / "s_bad.wav", 9, rate=16000)
    out = tmp_path / "out.h5"
    refused(folder, out, 3, "s_bad", "16000 Hz", encoder=(LOG_MEL,))
    assert Path(f"{out}.encoding").is_dir()
    (folder / "s_bad.wav").unlink()
    result = run(folder, out, LOG_MEL)
    assert result.code == 0, str(result)
    assert len(stored(out)) == 4 and not Path(f"{out}.encoding").exists()


def test_another_version_of_an_encoder_begins_anew(tmp_path):
    folder, script, out = tmp_path / "in", tmp_path / "encoder.py", tmp_path / "out.h5"
    folder.mkdir()
    for i in range(4):
        (folder / f"a_{i}.txt").write_text("a text\n" if i < 3 else "s05 refuse this\n")
    script.write_text(MOCK.read_text())
    refused(folder, out, 3, "a_3", encoder=(script, "refuses"))
    script.write_text(MOCK.read_text().replace("% 1009) / 1009", "% 1009) / 1009 + 100").replace('MODE == "refuses"', "False"))
    result = run(folder, out, script, "refuses")
    assert result.code == 0, str(result)
    assert all(frames.min() > 50 for _, frames in stored(out).values())


def test_what_is_refused(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out.h5"
    folder.mkdir()
    refused(folder, out, 3, folder, "holds no .wav or .txt files")
    (folder / "a_1.txt").write_text("a text\n")
    write_wav(folder / "a_1.wav", 1)
    refused(folder, out, 3, folder, "both .wav and .txt")
    (folder / "a_1.wav").unlink()
    refused(tmp_path / "none", out, 5, tmp_path / "none")
    refused(folder, out, 2, "--frame-rate", flags=(*BY_ID, "--frame-rate", "10"))
    refused(folder, out, 2, "--from", flags=(*BY_ID, "--from", "npy"))
    refused(folder, out, 2, "--energy", flags=(*BY_ID, "--energy", "x"))
    refused(folder, out, 2, "--lengths", flags=(*BY_ID, "--lengths", "x"))
    refused(folder, out, 2, "who speaks", flags=())
    refused(folder, out, 3, "a_1", flags=("--speaker-separator", "#"))
    refused(folder, out, 2, "encoder", encoder=("-c", "raise SystemExit(1)"))
    refused(folder, out, 3, "a_1", encoder=(MOCK, "nan"))
    refused(folder, out, 3, "a_1", "-101", encoder=(MOCK, "beyond"))
    assert run(folder, Path(f"{out}/none") / "o.h5", MOCK, "ok").code == 5
    result = harness.run("import", folder, f"{out}/", *BY_ID, "--", sys.executable, MOCK, "ok")
    assert result.code == 2 and "a folder" in result.err and not out.exists(), str(result)
    other = tmp_path / "other"
    other.mkdir()
    (other / "manifest.jsonl").write_text("mine")
    Path(f"{tmp_path}/link.h5.encoding").symlink_to(other)
    refused(folder, tmp_path / "link.h5", 5, "link.h5.encoding")
    assert (other / "manifest.jsonl").read_text() == "mine"
    speakers = tmp_path / "speakers"
    speakers.write_text("a_1 someone\n")
    result = run(folder, speakers, MOCK, "ok", flags=("--speakers", speakers, "--force"))
    assert result.code == 2 and speakers.read_text() == "a_1 someone\n", str(result)
    text = folder / "a_1.txt"
    result = run(folder, text, MOCK, "ok", flags=(*BY_ID, "--force"))
    assert result.code == 2 and text.read_text() == "a text\n", str(result)
    mine = Path(f"{out}.encoding") / "mine"
    mine.write_text("kept")
    out.write_text("something else")
    result = run(folder, out, MOCK, "ok")
    assert result.code == 2 and "--force" in result.err and out.read_text() == "something else"
    assert run(folder, out, MOCK, "ok", flags=(*BY_ID, "--force")).code == 0 and len(stored(out)) == 1
    assert [p.name for p in mine.parent.iterdir()] == ["mine"] and mine.read_text() == "kept"


def test_a_second_import_of_an_output_leaves_the_first_alone(tmp_path):
    one, two, out = tmp_path / "one", tmp_path / "two", tmp_path / "out.h5"
    for folder in (one, two):
        folder.mkdir()
        for i in range(300):
            (folder / f"{folder.name}_{i}.txt").write_text(f"text {i}\n")
    process = subprocess.Popen([harness.BINARY, "import", one, out, "--progress", "none", *BY_ID, "--", sys.executable, MOCK,
                                "slow"], stderr=subprocess.PIPE, text=True, env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)})
    work = Path(f"{out}.encoding")
    deadline = time.monotonic() + 60
    while not (work / "latents.index").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    manifest = (work / "manifest.jsonl").read_bytes()
    refused(two, out, 5, "another phase0 (process ", work)
    assert (work / "manifest.jsonl").read_bytes() == manifest
    _, err = process.communicate(timeout=harness.TIMEOUT)
    assert process.returncode == 0, err
    assert set(stored(out)) == {f"one_{i}" for i in range(300)}
    assert not work.exists()
