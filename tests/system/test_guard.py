"""`phase0 guard`: codes, signals both ways, and the end of a whole process tree at the limit."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import harness
import pytest

PYTHON = sys.executable
LIMIT_EXCEEDED = 104
MIB = 1 << 20
HOG = "import time; block = bytearray(b'x') * (300 << 20); time.sleep(60)"  # touches every page


@pytest.fixture(autouse=True)
def _binary(binary):
    pass


def guard_args(*command, limit="1GiB", flags=()):
    return [str(harness.BINARY), "guard", "--limit", limit, "--interval", "20ms", *flags, "--", *map(str, command)]


def guard(*command, limit="1GiB", flags=(), **kwargs):
    done = subprocess.run(guard_args(*command, limit=limit, flags=flags), capture_output=True, text=True,
                          timeout=harness.TIMEOUT, **kwargs)
    return harness.Result(done.returncode, done.stdout, done.stderr)


def start(*command, limit="1GiB", flags=(), **kwargs):
    """A guard whose command says `ready` on stdout when it is."""
    process = subprocess.Popen(guard_args(*command, limit=limit, flags=flags), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, **kwargs)
    assert process.stdout.readline() == "ready\n"
    return process


def end(process):
    out, err = process.communicate(timeout=harness.TIMEOUT)
    return harness.Result(process.returncode, out, err)


def events(log):
    return [json.loads(line) for line in log.read_text().splitlines()]


def runs(pid):
    """Whether the process is there and no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# ---- the command line and the codes


@pytest.mark.parametrize("code", [0, 1, 4, 104, 255])
def test_passes_on_the_commands_code(code):
    result = guard("sh", "-c", f"echo out; echo err >&2; exit {code}")
    assert (result.code, result.out, result.err) == (code, "out\n", "err\n")


def test_codes_of_commands_that_cannot_be_run(tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("no program")
    assert guard("there-is-no-such-command").code == 127
    assert guard(tmp_path / "missing").code == 127
    result = guard(plain)
    assert result.code == 126 and "plain" in result.err, str(result)


@pytest.mark.parametrize("args", [
    ["--limit", "1GiB"], ["--limit", "1GiB", "--"], ["--", "true"], ["--limit", "12", "--", "true"],
    ["--limit", "0%", "--", "true"], ["--limit", "1GiB", "true"], ["--limit", "1GiB", "--grace", "soon", "--", "true"],
    ["--limit", "1GiB", "--interval", "0", "--", "true"], ["--limit", "1GiB", "--wat", "--", "true"]], ids=" ".join)
def test_usage_errors(args):
    result = harness.run("guard", *args)
    assert result.code == 2 and result.out == "" and result.err.startswith("phase0: error: "), str(result)
    assert len(result.err.splitlines()) == 1


def test_log_that_cannot_be_opened_is_said_before_the_command_runs(tmp_path):
    result = guard("touch", tmp_path / "ran", flags=["--log", tmp_path / "no" / "log"])
    assert result.code == 5 and not (tmp_path / "ran").exists(), str(result)


@pytest.mark.parametrize("limit", ["auto", "50%", "1GiB", "1.5GB"])
def test_limits(limit):
    assert guard("true", limit=limit).code == 0


def test_arguments_reach_the_command_as_they_are():
    args = ["--limit", "3", "--", "-v", "--help", "", "a b", "run", "--", "{x}", "[1,2]", "\\", "é\n"]
    result = guard(PYTHON, "-c", "import sys, json; print(json.dumps(sys.argv[1:]))", *args)
    assert result.code == 0 and json.loads(result.out) == args, str(result)


def test_help_is_complete():
    result = harness.run("guard", "--help")
    assert result.code == 0
    for word in ("--limit", "--grace", "--interval", "--log", "--no-wait", "-v", "-- COMMAND", "104", "126", "127"):
        assert word in result.out
    assert "guard" in harness.run("--help").out


# ---- what the command is given


def test_stdin_environment_and_folder_pass_through(tmp_path):
    result = guard("sh", "-c", "cat; pwd; env", input="from stdin\n", cwd=tmp_path, env={"ONLY": "this", "PATH": os.environ["PATH"]})
    lines = result.out.splitlines()
    assert lines[:2] == ["from stdin", str(tmp_path)], str(result)
    names = {line.split("=")[0] for line in lines[2:]} - {"__LLVM_PROFILE_RT_INIT_ONCE"}  # of a build that counts lines
    assert names <= {"ONLY", "PATH", "PWD", "SHLVL", "_", "OLDPWD"}


@pytest.mark.parametrize("close", ["", "<&-", ">&-", "2>&-", "<&- 2>&-"])
def test_no_descriptor_leaks(tmp_path, close):
    script = f"import os; names = sorted(os.listdir('/proc/self/fd'), key=int); open({str(tmp_path / 'fds')!r}, 'w').write(' '.join(names))"
    (tmp_path / "list.py").write_text(script)
    found = []
    for prefix in ([], guard_args(limit="1GiB", flags=["--log", tmp_path / "log"])):
        subprocess.run(["sh", "-c", f'"$@" {close}', "sh", *map(str, prefix), PYTHON, str(tmp_path / "list.py")],
                       check=False, timeout=harness.TIMEOUT)
        found.append((tmp_path / "fds").read_text())
    assert found[0] == found[1]


def test_signal_settings_are_what_guard_was_given():
    show = ["grep", "-E", "Sig(Blk|Ign|Cgt)", "/proc/self/status"]

    def settings():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])

    for set_up in (None, settings):
        plain = subprocess.run(show, capture_output=True, text=True, preexec_fn=set_up, restore_signals=False)
        assert guard(*show, preexec_fn=set_up, restore_signals=False).out == plain.stdout


# ---- signals


@pytest.mark.parametrize("name", ["TERM", "KILL", "SEGV", "INT"])
def test_dies_of_the_commands_signal(name):
    number = signal.Signals["SIG" + name]
    assert guard(PYTHON, "-c", f"import os, signal; signal.signal({number}, signal.SIG_DFL) if {number} != 9 else 0; "
                 f"os.kill(os.getpid(), {number})").code == -number
    script = " ".join(guard_args()) + f" sh -c 'kill -{name} $$'; echo $?"
    shell = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=harness.TIMEOUT)
    assert shell.stdout == f"{128 + number}\n"


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "WINCH", "ALRM", "CONT"])
def test_signals_reach_the_command_once(name):
    number = int(signal.Signals["SIG" + name])
    command = start(PYTHON, "-c", "import signal, time\nseen = []\n"
                    f"signal.signal({number}, lambda *a: seen.append(1))\nprint('ready', flush=True)\n"
                    "while not seen: time.sleep(0.01)\ntime.sleep(0.3)\nprint(len(seen))")
    command.send_signal(number)
    result = end(command)
    assert (result.code, result.out) == (0, "1\n"), str(result)


def test_unhandled_signal_ends_both():
    command = start("sh", "-c", "echo ready; exec sleep 60")
    command.terminate()
    assert end(command).code == -signal.SIGTERM


def test_command_that_signals_its_own_group_is_not_signalled_again():
    command = ("import os, signal, time\nseen = []\nsignal.signal(signal.SIGTERM, lambda *a: seen.append(1))\n"
               "os.kill(0, signal.SIGTERM)\ntime.sleep(0.5)\nprint(len(seen))")
    result = guard(PYTHON, "-c", command, start_new_session=True)
    assert (result.code, result.out) == (0, "1\n"), str(result)


def test_command_ends_when_guard_is_killed():
    command = start("sh", "-c", "echo ready; echo $$; exec sleep 60")
    pid = int(command.stdout.readline())
    command.kill()
    assert end(command).code == -signal.SIGKILL
    wait_until(lambda: not runs(pid))


class Terminal:
    """A guarded command in a session of its own on a pseudo-terminal, as a shell without job control runs it."""

    def __init__(self, args):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored where the tests run in a shell's background
            os.execvp(args[0], args)
        self.text = ""

    def expect(self, text):
        deadline = time.monotonic() + 20
        while text not in self.text:
            assert time.monotonic() < deadline, self.text
            if select.select([self.master], [], [], 0.1)[0]:
                self.text += os.read(self.master, 4096).decode()

    def type(self, text):
        self.text = ""
        os.write(self.master, text.encode())

    def end(self):
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.master)
        return os.waitstatus_to_exitcode(status)


def test_interactive_program_and_its_keys():
    terminal = Terminal(guard_args(PYTHON, "-q", "-i"))
    terminal.expect(">>> ")
    terminal.type("6 * 7\n")
    terminal.expect("42")
    terminal.type("import time; print('sl' + 'eep'); time.sleep(60)\n")
    terminal.expect("sleep\r\n")
    terminal.type("\x03")
    terminal.expect("KeyboardInterrupt")
    terminal.expect(">>> ")
    terminal.type("raise SystemExit(5)\n")
    assert terminal.end() == 5


def test_interrupt_key_ends_a_command_in_a_session_of_its_own():
    """Which the terminal's keys do not reach."""
    terminal = Terminal(guard_args(PYTHON, "-c", "import os, time; os.setsid(); print('ready'); time.sleep(60)"))
    terminal.expect("ready")
    terminal.type("\x03")
    assert terminal.end() in (1, -signal.SIGINT)


def test_job_control_of_a_shell():
    """Ctrl-Z stops guard and command, fg goes on with both."""
    terminal = Terminal(["bash", "--norc", "--noprofile", "-i"])
    count = "import time; print('rea' + 'dy', flush=True); time.sleep(1.5); print('do' + 'ne')"
    terminal.type(" ".join(guard_args(PYTHON, "-c", f'"{count}"')) + "\n")
    terminal.expect("ready")
    terminal.type("\x1a")
    terminal.expect("Stopped")
    terminal.type("fg\n")
    terminal.expect("done")
    terminal.type("exit 0\n")
    assert terminal.end() == 0


# ---- the limit


def test_ends_a_command_over_the_limit(tmp_path):
    log = tmp_path / "log"
    result = guard(PYTHON, "-c", HOG, limit="100MiB", flags=["--log", log])
    assert result.code == LIMIT_EXCEEDED and "100.0 MiB" in result.err and "104" in result.err, str(result)
    first, exceeded, last = events(log)
    assert [first["event"], exceeded["event"], last["event"]] == ["start", "exceeded", "exit"]
    assert first["limit_bytes"] == 100 * MIB and first["command"] == [PYTHON, "-c", HOG]
    (process,) = exceeded["processes"]
    assert process["pid"] == first["pid"] and "bytearray" in process["command"]
    assert process["rss_bytes"] > 100 * MIB and exceeded["memory_bytes"] > 100 * MIB
    assert f"pid {process['pid']}" in result.err and "bytearray" in result.err
    assert last["exit_code"] == LIMIT_EXCEEDED and last["reason"] == "limit"
    assert last["command_signal"] == signal.SIGTERM and last["peak_rss_bytes"] > 100 * MIB
    assert 0 < last["seconds"] < 30
    for event in (first, exceeded, last):
        assert event["time"].endswith("Z") and event["level"]


def test_log_is_appended_to_and_holds_the_peak(tmp_path):
    log = tmp_path / "log"
    for code in (0, 3):
        result = guard(PYTHON, "-c", f"import time; b = bytearray(b'x') * (64 << 20); time.sleep(0.5); exit({code})",
                       flags=["--log", log, "-v"])
        assert result.code == code and "peak memory" in result.err
    ends = [e for e in events(log) if e["event"] == "exit"]
    assert [e["command_exit_code"] for e in ends] == [0, 3]
    assert all(64 * MIB < e["peak_rss_bytes"] < 200 * MIB and e["reason"] == "command" for e in ends)


def test_time_to_end_in_order_is_given(tmp_path):
    script = ("import signal, sys, time\n"
              f"def end(*a): open({str(tmp_path / 'saved')!r}, 'w').write('x'); sys.exit(3)\n"
              "signal.signal(signal.SIGTERM, end)\nblock = bytearray(b'x') * (300 << 20)\nwhile True: time.sleep(0.05)")
    assert guard(PYTHON, "-c", script, limit="100MiB").code == LIMIT_EXCEEDED
    assert (tmp_path / "saved").exists()


def test_kills_what_ignores_sigterm(tmp_path):
    log = tmp_path / "log"
    begin = time.monotonic()
    result = guard(PYTHON, "-c", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + HOG, limit="100MiB",
                   flags=["--grace", "0.5s", "--log", log])
    assert result.code == LIMIT_EXCEEDED and time.monotonic() - begin < 20, str(result)
    by_name = {e["event"]: e for e in events(log)}
    assert by_name["killed"]["processes"][0]["pid"] == by_name["start"]["pid"]
    assert by_name["exit"]["command_signal"] == signal.SIGKILL
    assert by_name["exit"]["seconds"] >= 0.5


def test_finds_a_daemon_in_another_session(tmp_path):
    """Double fork and setsid; the command itself is small and stays."""
    pid_file = tmp_path / "pid"
    daemon = ("import os, signal, time\nif os.fork(): os.wait(); time.sleep(60); raise SystemExit\n"
              "os.setsid()\nif os.fork(): os._exit(0)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
              f"open({str(pid_file)!r}, 'w').write(str(os.getpid()))\n" + HOG)
    log = tmp_path / "log"
    result = guard(PYTHON, "-c", daemon, limit="100MiB", flags=["--grace", "300ms", "--log", log])
    assert result.code == LIMIT_EXCEEDED, str(result)
    pid = int(pid_file.read_text())
    exceeded = next(e for e in events(log) if e["event"] == "exceeded")
    assert exceeded["processes"][0]["pid"] == pid and len(exceeded["processes"]) == 2
    assert not runs(pid)


def test_watches_a_daemon_that_outlives_the_command(tmp_path):
    daemon = f"import os, sys, time\nif os.fork(): os._exit(0)\nos.setsid()\ntime.sleep(1.5)\n{HOG}"
    result = guard(PYTHON, "-c", daemon, limit="100MiB")
    assert result.code == LIMIT_EXCEEDED and "left" in result.err, str(result)


def test_no_wait_ends_with_the_command():
    begin = time.monotonic()
    result = guard("sh", "-c", "sleep 5 >&- 2>&- & echo $!; exit 6", flags=["--no-wait"])
    assert result.code == 6 and time.monotonic() - begin < 4, str(result)
    os.kill(int(result.out), signal.SIGKILL)


def test_signal_reaches_what_the_command_left_behind():
    process = start(PYTHON, "-c", "import os, time\nif os.fork(): os._exit(6)\nos.setsid(); print('ready', flush=True); time.sleep(60)")
    process.terminate()
    assert end(process).code == 6


def test_many_small_processes_are_one_sum():
    workers = ("import subprocess, sys, time\n"
               "w = [subprocess.Popen([sys.executable, '-c', \"import time; b = bytearray(b'x') * (40 << 20); time.sleep(60)\"])"
               " for _ in range(4)]\ntime.sleep(60)")
    begin = time.monotonic()
    assert guard(PYTHON, "-c", workers, limit="120MiB").code == LIMIT_EXCEEDED
    assert time.monotonic() - begin < 30


def test_pages_shared_by_forks_count_once(tmp_path):
    """Four processes with the same 80 MiB: an RSS sum over 320 MiB, and half the limit in truth."""
    if not os.access("/proc/self/smaps_rollup", os.R_OK):
        pytest.skip("no smaps_rollup here")
    log = tmp_path / "log"
    shared = ("import mmap, os, time\nm = mmap.mmap(-1, 80 << 20)\n"
              "for _ in range(3):\n  if os.fork() == 0: break\n"
              "for i in range(0, len(m), 4096): m[i]\ntime.sleep(1)")
    result = guard(PYTHON, "-c", shared, limit="160MiB", flags=["--log", log])
    assert result.code == 0, str(result)
    last = events(log)[-1]
    assert last["peak_rss_bytes"] > 300 * MIB and 80 * MIB < last["peak_pss_bytes"] < 160 * MIB


def test_a_storm_of_forks_dies_completely(tmp_path):
    """Processes that replace themselves all the time and ignore SIGTERM; at most some dozens live at once."""
    mark = f"storm-{os.getpid()}"
    storm = ("import os, signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
             "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\nend = time.monotonic() + 20\n"
             "for _ in range(30):\n  if os.fork() == 0: break\n"
             "else:\n  block = bytearray(b'x') * (150 << 20); time.sleep(20); os._exit(0)\n"
             "while time.monotonic() < end:\n  if os.fork(): os._exit(0)\n  os.setsid() if os.getpgrp() != os.getpid() else 0\n  time.sleep(0.002)\n")
    result = guard(PYTHON, "-c", storm, mark, limit="100MiB", flags=["--grace", "200ms"])
    assert result.code == LIMIT_EXCEEDED, str(result)
    left = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline") as f:
                if mark in f.read():
                    left.append(pid)
        except OSError:
            pass
    assert not left


def test_a_reader_that_has_stalled_does_not_hold_up_the_guard():
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    try:
        while True:
            os.write(write_end, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(write_end, True)
    hog = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + HOG
    done = subprocess.run(guard_args(PYTHON, "-c", hog, limit="100MiB", flags=["--grace", "0"]), stderr=write_end,
                          timeout=30)
    assert done.returncode == LIMIT_EXCEEDED
    os.close(read_end), os.close(write_end)


def test_guard_inside_guard():
    inner = guard_args(PYTHON, "-c", HOG, limit="100MiB")
    assert guard(*inner, limit="2GiB").code == LIMIT_EXCEEDED
    outer_first = guard_args(PYTHON, "-c", HOG, limit="2GiB")
    assert guard(*outer_first, limit="100MiB").code == LIMIT_EXCEEDED


def test_costs_little():
    """CPU time of the guard itself, with 100 processes to watch."""
    workers = ("import subprocess, time\nw = [subprocess.Popen(['sleep', '60']) for _ in range(100)]\n"
               "print('ready', flush=True)\ntime.sleep(3)\n[p.kill() for p in w]")
    process = subprocess.Popen([str(harness.BINARY), "guard", "--limit", "8GiB", "--", PYTHON, "-c", workers],
                               stdout=subprocess.PIPE, text=True)
    process.stdout.readline()

    def cpu_seconds():
        with open(f"/proc/{process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = cpu_seconds()
    time.sleep(2)
    assert cpu_seconds() - before < 0.2  # 10 %; 1 to 2 % on an idle machine
    process.communicate(timeout=harness.TIMEOUT)
