"""`phase0 encoder-check`: what it finds in encoders that misbehave, and that nothing of them stays."""

import subprocess
import sys
import time
import uuid
from pathlib import Path

import harness
import pytest

MOCK = Path(__file__).with_name("mock_encoder.py")
N_CHECKS = 13


@pytest.fixture(autouse=True)
def _binary(binary):
    pass


def tagged(tag):
    """Processes with `tag` on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and tag.encode() in (entry / "cmdline").read_bytes():
                found.append(entry.name)
        except OSError:
            continue
    return found


SILENT = {"hang_hello", "hang", "error_flood", "short"}  # these make every check wait for its time limit


def check(*command, flags=()):
    return harness.run("encoder-check", *flags, "--", *command)


def check_mock(mode, *args):
    tag = uuid.uuid4().hex
    flags = ("--timeout", "300ms") if mode in SILENT else ()
    if mode == "hang_hello":
        flags = ("--hello-timeout", "300ms")
    result = check(sys.executable, MOCK, mode, "--tag", tag, *args, flags=flags)
    assert tagged(tag) == [], str(result)
    return result


def outcomes(result):
    """{check: (pass | FAIL | skip, detail)}"""
    table = {}
    for line in result.out.splitlines():
        table[line[6:42].strip()] = (line[:4], line[42:].strip())
    assert len(table) == N_CHECKS, str(result)
    return table


def test_a_good_encoder_passes_every_check():
    result = check_mock("ok")
    table = outcomes(result)
    assert result.code == 0 and {word for word, _ in table.values()} == {"pass"}, str(result)
    assert "mock: text to 4 x float32, 1 Hz" in table["says hello"][1]
    assert result.err == ""


def test_an_encoder_short_of_memory_passes():
    result = check_mock("oom", "--limit", "100")
    assert result.code == 0, str(result)
    assert outcomes(result)["takes its largest batch or says oom"] == ("pass", "oom")


# What each mode fails first, and words of the reason.
FAILURES = {
    "exit_at_once": ("says hello", "exited with code 1; its last words: no model"),
    "hang_hello": ("says hello", "gave no answer in time"),
    "garbage_hello": ("says hello", 'expected a line of JSON, got "hello"'),
    "greeting": ("says hello", "welcome|before it was asked"),
    "bad_hello": ("says hello", "dim: expected a whole number from 1 to 65536, got 0"),
    "hang": ("encodes one item", "gave no answer in time"),
    "crash": ("encodes one item", "signal 11 (SIGSEGV); its last words: about to fall over"),
    "killed": ("encodes one item", "signal 9 (SIGKILL)"),
    "exit": ("encodes one item", "exited with code 1; its last words: no more"),
    "garbage": ("encodes one item", "expected a line of JSON"),
    "flood": ("encodes one item", "a line of more than 65536 bytes"),
    "error_flood": ("encodes one item", "gave no answer in time"),
    "internal": ("encodes one item", "internal error: a bolt is loose"),
    "wrong_rows": ("encodes one item", "frames for 2 items, but 1 were sent"),
    "wrong_bytes": ("encodes one item", "20 bytes for 1 frames of 16"),
    "wrong_id": ("encodes one item", "id: expected 1, got 2"),
    "nan": ("encodes one item", "row 0, value 0 of the answer is nan"),
    "inf": ("encodes one item", "row 0, value 3 of the answer is -inf"),
    "huge": ("encodes one item", "wants to answer with"),
    "short": ("encodes one item", "gave no answer in time"),
    "cut": ("encodes one item", "exited with code 0"),
    "fork_crash": ("encodes one item", "signal 11 (SIGSEGV)"),
    "chatty": ("same item, same rows", "says something before it was asked|expected a line of JSON"),
    "unstable": ("same item, same rows", "they differ by"),
    "batch": ("batch equals items one by one", "they differ by"),
    "mixed_up": ("batch equals items one by one", "differ by|other numbers of frames"),
    "dies_of_empty": ("takes odd items", "an empty text: exited with code 1; its last words: an empty item"),
    "accepts_bad": ("refuses a bad item", "it encodes bytes that are no UTF-8"),
    "blames_first": ("names the bad item of a batch", "it blames item 0, and item 1 is bad"),
    "fork": ("ends when told bye", "behind"),
    "daemon": ("ends when told bye", "behind"),
    "answers_bye": ("ends when told bye", "it answers bye"),
    "no_bye": ("ends when told bye", "does not end when told to"),
    "bye_code": ("ends when told bye", "ends with code 7"),
}


@pytest.mark.parametrize("mode", FAILURES)
def test_finds_what_is_wrong(mode):
    name, words = FAILURES[mode]
    result = check_mock(mode)
    table = outcomes(result)
    failed = [check for check, (word, _) in table.items() if word == "FAIL"]
    assert result.code == 3 and failed and failed[0] == name, str(result)
    assert any(word in table[name][1] for word in words.split("|")), str(result)
    assert f"{len(failed)} of {N_CHECKS} checks failed" in result.err


def test_a_command_that_cannot_be_run():
    result = check("there-is-no-such-command")
    assert result.code == 2 and "there-is-no-such-command: cannot be run" in result.err, str(result)
    result = check(MOCK.parent)
    assert result.code == 2 and "cannot be run" in result.err, str(result)


def test_usage():
    assert harness.run("encoder-check").code == 2
    assert check("true", flags=("--env", "=x")).code == 2
    assert check("true", flags=("--timeout", "soon")).code == 2
    assert check("true", flags=("--hello-timeout", "0")).code == 2
    result = harness.run("encoder-check", "--help")
    assert result.code == 0 and "-- COMMAND" in result.out


def test_environment_and_threads_reach_the_encoder(tmp_path):
    script = tmp_path / "show.py"
    script.write_text("import os, sys\nprint(os.environ['KEY'], os.environ['OMP_NUM_THREADS'], sys.stdin.readline(), "
                      "os.getsid(0) == os.getpid(), sorted(os.listdir('/proc/self/fd')), file=sys.stderr)\nsys.exit(1)\n")
    result = check(sys.executable, script, flags=("--env", "KEY=a value", "--threads", "3", "--device", "abacus"))
    detail = outcomes(result)["says hello"][1]
    assert "a value 3" in detail and '"device":"abacus"' in detail and '"threads":3' in detail, str(result)
    assert "True ['0', '1', '2', '3']" in detail, str(result)  # 3 is the listing itself


def test_an_interrupted_check_leaves_nothing():
    tag = uuid.uuid4().hex
    command = [str(harness.BINARY), "encoder-check", "--", sys.executable, str(MOCK), "fork_crash", "--tag", tag]
    for delay in (0.05, 0.2, 0.4):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while len(tagged(tag)) < 2 and process.poll() is None:  # it has not begun before
            time.sleep(0.005)
        time.sleep(delay)
        process.terminate()
        _, err = process.communicate(timeout=harness.TIMEOUT)
        assert process.returncode in (6, 3), err
        assert tagged(tag) == []


@pytest.mark.parametrize("limit", [64])
def test_works_with_few_descriptors(limit):
    """200 restarts in one process would run out of them if any leaked."""
    import resource
    tag = uuid.uuid4().hex
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    done = subprocess.run([str(harness.BINARY), "encoder-check", "--", sys.executable, str(MOCK), "crash", "--tag", tag],
                          capture_output=True, text=True, timeout=harness.TIMEOUT,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1])))
    assert done.returncode == 3 and done.stdout.count("SIGSEGV") > 5, done.stdout + done.stderr
    assert tagged(tag) == []


ENCODER_PYTHON = harness.ROOT / ".venv-encoders" / "bin" / "python"


@pytest.mark.skipif(not ENCODER_PYTHON.exists(), reason="made from tools/encoders/requirements.txt")
def test_sentence_encoder_conforms():
    result = check(ENCODER_PYTHON, harness.ROOT / "tools" / "encoders" / "sentence.py", "--max-items", "8")
    assert result.code == 0, str(result)
    assert "all-MiniLM-L6-v2: text to 384 x float32, 1 Hz" in outcomes(result)["says hello"][1]


def test_log_mel_conforms():
    result = check(sys.executable, harness.ROOT / "tools" / "encoders" / "log_mel.py")
    assert result.code == 0, str(result)
    assert "log-mel: wav to 320 x float16, 12.5 Hz" in outcomes(result)["says hello"][1]
