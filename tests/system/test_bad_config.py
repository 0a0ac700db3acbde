"""Section 6: what the configuration and the command line refuse, with line, key and the nearest known key."""

import bad_files
import harness
import pytest
from test_bad_input import check_no_output, check_rejected, config


def lines(where, **changes):
    return harness.to_yaml(config(where, **changes)).splitlines()


def run_text(where, text, *args):
    path = where / "experiment.yaml"
    path.write_text(text)
    return harness.run("run", "-c", path, "--progress", "none", *args)


@pytest.fixture
def where(tmp_path):
    bad_files.good(tmp_path / "latents.h5")
    return tmp_path


# key of the base configuration whose line is replaced: (new line, fragments beside file and line number)
BAD_LINES = {
    "unknown_key": ("  min_duration_sec", "  min_duration_secs: 1.0", ["min_duration_secs", "min_duration_sec"]),
    "unknown_section": ("seed", "sed: 7", ["sed", "seed"]),
    "far_unknown_key": ("seed", "qqqqqqqqqqqq: 7", ["qqqqqqqqqqqq"]),
    "unknown_nested": ("  kmeans", "  kmeans: {n_init: 2, max_iters: 3}", ["max_iters", "max_iter"]),
    "unknown_in_condition": ("  conditions", "  conditions: [{name: a, type: mean_pool_vq, k: 4, dim: 2}]", ["dim"]),
    "text_for_int": ("  window_size", "  window_size: eight", ["window_size", "eight"]),
    "float_for_int": ("  window_size", "  window_size: 4.5", ["window_size", "4.5"]),
    "quoted_number": ("  window_size", '  window_size: "4x"', ["window_size"]),
    "list_for_int": ("  window_size", "  window_size: [4]", ["window_size"]),
    "map_for_list": ("  lags", "  lags: {a: 1}", ["lags"]),
    "int_for_map": ("  kmeans", "  kmeans: 3", ["kmeans"]),
    "list_for_text": ("  latents", "  latents: [a]", ["latents"]),
    "window_zero": ("  window_size", "  window_size: 0", ["window_size", "0"]),
    "lag_zero": ("  lags", "  lags: [1, 0]", ["lags", "0"]),
    "lags_empty": ("  lags", "  lags: []", ["lags"]),
    "lags_twice": ("  lags", "  lags: [1, 1]", ["lags"]),
    "huge_int": ("  window_size", "  window_size: 99999999999999999999", ["window_size"]),
    "negative_duration": ("  min_duration_sec", "  min_duration_sec: -1", ["min_duration_sec", "-1"]),
    "nan_duration": ("  min_duration_sec", "  min_duration_sec: .nan", ["min_duration_sec"]),
    "holdout_one": ("  utt_holdout_frac", "  utt_holdout_frac: 1.0", ["utt_holdout_frac"]),
    "k_zero": ("  conditions", "  conditions: [{name: a, type: mean_pool_vq, k: 0}]", ["k", "0"]),
    "k_missing": ("  conditions", "  conditions: [{name: a, type: mean_pool_vq}]", ["k"]),
    "pca_dim_16": ("  conditions", "  conditions: [{name: a, type: pca_quartile, pca_dim: 16}]", ["pca_dim", "15"]),
    "type_unknown": ("  conditions", "  conditions: [{name: a, type: pca_quartil, pca_dim: 2}]", ["pca_quartile"]),
    "name_twice": ("  conditions", "  conditions: [{name: a, type: mean_pool_vq, k: 2}, "
                                   "{name: a, type: mean_pool_vq, k: 3}]", ["name", "a"]),
    "name_with_slash": ("  conditions", "  conditions: [{name: a/b, type: mean_pool_vq, k: 2}]", ["name"]),
    "conditions_empty": ("  conditions", "  conditions: []", ["conditions"]),
    "storage_unknown": ("  storage", "  storage: windw", ["storage", "window"]),
    "policy_unknown": ("  min_duration_sec", "  non_finite: drop", ["non_finite", "drop_utterance"]),
    "filter_unknown": ("slices", "slices: [{name: a, filter: energy_below_median}]", ["filter"]),
    "filter_reversed": ("slices", "slices: [{name: a, filter: pos_frac_0.8_0.2}]", ["pos_frac"]),
    "threshold_negative": ("  variance_ratio_threshold", "  variance_ratio_threshold: -0.1",
                           ["variance_ratio_threshold"]),
    "permutations_negative": ("  permutations", "  permutations: -1", ["permutations"]),
    "duplicate_key": ("  window_size", "  window_size: 4\n  window_size: 5", ["window_size"]),
    "budget_text": ("seed", "memory: {budget: lots}", ["budget", "lots"]),
    "budget_percent": ("seed", "memory: {budget: 250%}", ["budget"]),
    "n_init_zero": ("  kmeans", "  kmeans: {n_init: 0}", ["n_init"]),
    "threads_negative": ("  threads", "  threads: -2", ["threads"]),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_bad_line(where, name):
    key, replacement, fragments = BAD_LINES[name]
    text = lines(where)
    (at,) = [i for i, line in enumerate(text) if line.startswith(key + ":")]
    text[at] = replacement
    result = run_text(where, "\n".join(text) + "\n")
    check_rejected(result, 2, ["experiment.yaml", *fragments])
    numbers = (at + 1, at + 2) if "\n" in replacement else (at + 1,)
    assert any(f"experiment.yaml:{n}" in result.err for n in numbers), f"line {numbers} is not named\n{result}"
    check_no_output(where)


@pytest.mark.parametrize("text, fragments", [
    ("seed: [1, 2\n", ["yaml:2"]), ("seed: 1\n\tdata: x\n", []), ("- a\n- b\n", []), ("just words\n", []), ("", ["latents"]),
    ("seed: 1\n---\nseed: 2\n", ["document"]),
    ("a: &x {latents: l.h5}\ndata: *x\n", ["alias"]),
    ("a: &x [*x]\n", []),
    ("x" * (1 << 20) + ": 1\n", []),
    ("data: {latents: \"a\0b\"}\n", []),
], ids=["unclosed", "tab", "list", "scalar", "empty", "two_documents", "alias", "cycle", "too_large", "nul"])
def test_bad_text(where, text, fragments):
    check_rejected(run_text(where, text), 2, ["experiment.yaml", *fragments])


def test_anchor_without_alias_or_deep_nesting_ends(where):
    assert run_text(where, "data: " + "[" * 5000 + "]" * 5000 + "\n").code == 2


def test_missing_latents(where):
    check_rejected(run_text(where, "\n".join(lines(where, **{"data.latents": ...}))), 2, ["latents"])
    check_no_output(where)


@pytest.mark.parametrize("changes", [
    {"splits.n_train_speakers": ..., "splits.n_eval_speakers": ...},
    {"splits.n_eval_speakers": ...},
], ids=["none", "half"])
def test_incomplete_splits(where, changes):
    check_rejected(run_text(where, "\n".join(lines(where, **changes))), 2, ["splits"])


@pytest.mark.parametrize("setting, fragments", [
    ("context.window_siz=4", ["window_siz", "window_size"]), ("context.window_size=four", ["window_size", "four"]),
    ("context.window_size", ["context.window_size"]), ("=4", []), ("seed.x=1", ["seed"]), ("nowhere.at=1", ["nowhere"]),
])
def test_bad_set(where, setting, fragments):
    result = run_text(where, "\n".join(lines(where)), "--set", setting)
    check_rejected(result, 2, fragments)
    check_no_output(where)


@pytest.mark.parametrize("args", [
    ["frobnicate"], [], ["run"], ["run", "-c", "nowhere.yaml"], ["run", "--no-such-flag"], ["inspect"],
    ["run", "-c", "CONFIG", "--memory", "12XB"], ["run", "-c", "CONFIG", "--memory", "-1GiB"],
    ["run", "-c", "CONFIG", "--threads", "-3"], ["run", "-c", "CONFIG", "--threads", "two"],
    ["run", "-c", "CONFIG", "--progress", "sparkling"], ["run", "-c", "CONFIG", "extra"],
], ids=lambda a: " ".join(a) or "nothing")
def test_usage(where, args):
    path = harness.write_config(where / "c.yaml", config(where))
    result = harness.run(*[path if a == "CONFIG" else a for a in args], cwd=where)
    assert result.code == 2 and result.err.strip(), str(result)
    check_no_output(where)


def test_set_overrides_one_key(where):
    result = run_text(where, "\n".join(lines(where)), "--set", "context.window_size=3", "--set", "context.lags=[1, 2]")
    assert result.code == 0, str(result)
    text = (where / "run" / "config.yaml").read_text()
    assert "window_size: 3" in text and "mean_pool_vq" in text


def test_comments_and_unordered_sections_are_fine(where):
    text = ["# a comment"] + lines(where)[1:] + ["seed: 7  # the last"]
    assert run_text(where, "\n".join(text)).code == 0
