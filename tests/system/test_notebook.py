"""tools/notebooks/results.ipynb runs on a fresh run of the demo."""

import os
import subprocess
import sys

import harness

NOTEBOOK = harness.ROOT / "tools" / "notebooks" / "results.ipynb"
DEMO_CONFIG = harness.ROOT / "configs" / "demo.yaml"


def test_notebook_executes_on_a_demo_run(tmp_path, binary):
    run_dir = tmp_path / "demo"
    # relative paths of the demo are relative to the repository
    result = harness.run("run", "-c", DEMO_CONFIG, "--run-dir", run_dir, "--progress", "none", cwd=harness.ROOT)
    assert result.code == 0, str(result)
    done = subprocess.run(
        [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", str(NOTEBOOK), "--output-dir",
         str(tmp_path), "--output", "executed"],
        env={**os.environ, "PHASE0_RUN": str(run_dir)}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    assert (tmp_path / "executed.ipynb").stat().st_size > 1000
