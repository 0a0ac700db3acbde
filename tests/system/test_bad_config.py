"""Section 6: what the configuration and the command line refuse, with line, key and the nearest known key."""

import os

import bad_files
import forged_files
import harness
import pytest
from test_bad_input import BAD_SPEAKER_LISTS, SPOILED, check_no_output, check_rejected, config


def lines(where, **changes):
    return harness.to_yaml(config(where, **changes)).splitlines()


def run_text(where, text, *args):
    path = where / "experiment.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return harness.run("run", "-c", path, "--progress", "none", *args)


@pytest.fixture
def where(tmp_path):
    bad_files.good(tmp_path / "latents.h5")
    return tmp_path


# key of the base configuration whose line is replaced: (new line, fragments beside file and line number)
BAD_LINES = {
    "unknown_key": ("  min_duration_sec", "  min_duration_secs: 1.0", ["min_duration_secs", "min_duration_sec"]),
    "unknown_section": ("seed", "sed: 7", ["sed", "seed"]),
    "far_unknown_key": ("seed", "qqqqqqqqqqqq: 7", ['unknown key "qqqqqqqqqqqq"', "known: seed, data"]),
    "unknown_nested": ("  kmeans", "  kmeans: {n_init: 2, max_iters: 3}", ["max_iters", "max_iter"]),
    "unknown_in_condition": ("  conditions", "  conditions: [{name: a, type: mean_pool_vq, k: 4, dim: 2}]",
                             ['unknown key "dim"', "pca_dim"]),
    "text_for_int": ("  window_size", "  window_size: eight", ["window_size", "eight"]),
    "float_for_int": ("  window_size", "  window_size: 4.5", ["window_size", "4.5"]),
    "quoted_number": ("  window_size", '  window_size: "4x"', ["window_size", "an integer", '"4x"']),
    "list_for_int": ("  window_size", "  window_size: [4]", ["window_size", "an integer", "a list"]),
    "map_for_list": ("  lags", "  lags: {a: 1}", ["lags", "a list of integers", "a mapping"]),
    "int_for_map": ("  kmeans", "  kmeans: 3", ["kmeans", "expected a mapping", '"3"']),
    "list_for_text": ("  latents", "  latents: [a]", ["latents", "a path", "a list"]),
    "window_zero": ("  window_size", "  window_size: 0", ["window_size", "from 1", "got 0"]),
    "lag_zero": ("  lags", "  lags: [1, 0]", ["lags.1", "from 1", "got 0"]),
    "lags_empty": ("  lags", "  lags: []", ["lags", "empty list"]),
    "lags_twice": ("  lags", "  lags: [1, 1]", ["lags.1", "twice"]),
    "huge_int": ("  window_size", "  window_size: 99999999999999999999", ["window_size", "99999999999999999999"]),
    "negative_duration": ("  min_duration_sec", "  min_duration_sec: -1", ["min_duration_sec", ">= 0", "-1"]),
    "nan_duration": ("  min_duration_sec", "  min_duration_sec: .nan", ["min_duration_sec", ".nan"]),
    "holdout_one": ("  utt_holdout_frac", "  utt_holdout_frac: 1.0", ["utt_holdout_frac", "[0, 1)"]),
    "k_zero": ("  conditions", "  conditions: [{name: a, type: mean_pool_vq, k: 0}]", ["conditions.0.k", "from 1"]),
    "k_missing": ("  conditions", "  conditions: [{name: a, type: mean_pool_vq}]",
                  ["conditions.0.k", "required by type"]),
    "pca_dim_16": ("  conditions", "  conditions: [{name: a, type: pca_quartile, pca_dim: 16}]", ["pca_dim", "15"]),
    "type_unknown": ("  conditions", "  conditions: [{name: a, type: pca_quartil, pca_dim: 2}]", ["pca_quartile"]),
    "name_twice": ("  conditions", "  conditions: [{name: a, type: mean_pool_vq, k: 2}, "
                                   "{name: a, type: mean_pool_vq, k: 3}]",
                                   ["conditions.1.name", "is taken by clustering.conditions.0"]),
    "name_with_slash": ("  conditions", "  conditions: [{name: a/b, type: mean_pool_vq, k: 2}]", ["name", "a/b"]),
    "conditions_empty": ("  conditions", "  conditions: []", ["conditions", "at least one entry"]),
    "storage_unknown": ("  storage", "  storage: windw", ["storage", "window"]),
    "policy_unknown": ("  min_duration_sec", "  non_finite: drop", ["non_finite", "drop_utterance"]),
    "filter_unknown": ("slices", "slices: [{name: a, filter: energy_below_median}]",
                       ["slices.0.filter", "energy_below_median"]),
    "filter_reversed": ("slices", "slices: [{name: a, filter: pos_frac_0.8_0.2}]",
                        ["slices.0.filter", "pos_frac_0.8_0.2"]),
    "threshold_negative": ("  variance_ratio_threshold", "  variance_ratio_threshold: -0.1",
                           ["variance_ratio_threshold", "> 0", "-0.1"]),
    "permutations_negative": ("  permutations", "  permutations: -1", ["permutations", "from 0", "-1"]),
    "duplicate_key": ("  window_size", "  window_size: 4\n  window_size: 5",
                      ["duplicate key", "window_size", "line 11"]),
    "budget_text": ("seed", "memory: {budget: lots}", ["budget", "lots"]),
    "budget_percent": ("seed", "memory: {budget: 250%}", ["budget", "250%"]),
    "n_init_zero": ("  kmeans", "  kmeans: {n_init: 0}", ["n_init", "from 1"]),
    "threads_negative": ("  threads", "  threads: -2", ["threads", "-2"]),
    "octal_looking": ("  window_size", "  window_size: 010", ["window_size", "010"]),
    "hexadecimal": ("  window_size", "  window_size: 0x10", ["window_size", "0x10"]),
    "grouped_digits": ("  window_size", "  window_size: 1_000", ["window_size", "1_000"]),
    "exponent_for_int": ("  window_size", "  window_size: 1e1", ["window_size", "1e1"]),
    "sexagesimal": ("  window_size", "  window_size: 1:30", ["window_size", "1:30"]),
    "boolean_for_int": ("  window_size", "  window_size: yes", ["window_size", "yes"]),
    "null_for_int": ("  window_size", "  window_size: ~", ["window_size", "null"]),
    "window_huge": ("  window_size", "  window_size: 1000001", ["window_size", "1000000"]),
    "octal_real": ("  min_duration_sec", "  min_duration_sec: 03.5", ["min_duration_sec", "03.5"]),
    "infinite_duration": ("  min_duration_sec", "  min_duration_sec: .inf", ["min_duration_sec", ".inf"]),
    "overflowing_real": ("  min_duration_sec", "  min_duration_sec: 1e999", ["min_duration_sec", "1e999"]),
    "seed_negative": ("seed", "seed: -1", ["seed", "-1"]),
    "seed_beyond_64_bits": ("seed", "seed: 18446744073709551616", ["seed", 'got "18446744073709551616"']),
    "lag_beyond": ("  lags", "  lags: [1, 1000001]", ["lags", "1000001"]),
    "lag_text": ("  lags", "  lags: [1, two]", ["lags.1", "two"]),
    "conditions_map": ("  conditions", "  conditions: {a: 1}", ["conditions", "a list of mappings"]),
    "condition_scalar": ("  conditions", "  conditions: [vq]", ["conditions.0", "vq"]),
    "type_missing": ("  conditions", "  conditions: [{name: a, k: 3}]", ["conditions.0", '"type" is missing']),
    "name_missing": ("  conditions", "  conditions: [{type: mean_pool_vq, k: 3}]",
                     ["conditions.0", '"name" is missing']),
    "name_dots": ("  conditions", "  conditions: [{name: .., type: mean_pool_vq, k: 3}]", ["name", ".."]),
    "name_formula": ("  conditions", '  conditions: [{name: "=1+1", type: mean_pool_vq, k: 3}]', ["name", "=1+1"]),
    "name_markup": ("  conditions", '  conditions: [{name: "<b>", type: mean_pool_vq, k: 3}]', ["name", "<b>"]),
    "name_norm": ("  conditions", "  conditions: [{name: norm, type: mean_pool_vq, k: 3}]", ["norm", "reserved"]),
    "k_beyond": ("  conditions", "  conditions: [{name: a, type: mean_pool_vq, k: 1000001}]",
                 ["conditions.0.k", "to 1000000", "1000001"]),
    "k_of_quartile": ("  conditions", "  conditions: [{name: a, type: pca_quartile, pca_dim: 2, k: 3}]",
                      ["k", "does not belong"]),
    "filter_beyond_one": ("slices", "slices: [{name: a, filter: pos_frac_0.5_1.5}]", ["pos_frac_0.5_1.5"]),
    "filter_nan": ("slices", "slices: [{name: a, filter: pos_frac_nan_1}]", ["slices.0.filter", "pos_frac_nan_1"]),
    "slice_name_twice": ("slices", "slices: [{name: a, filter: null}, {name: a, filter: null}]",
                         ["slices.1", "is taken by slices.0"]),
    "slices_many": ("slices", "slices: [" + ", ".join(f"{{name: s{i}}}" for i in range(65)) + "]", ["65", "64"]),
    "merge_key": ("  kmeans", "  kmeans: {<<: {n_init: 2}}", ["unknown key", "<<"]),
    "alias_value": ("  kmeans", "  kmeans: *other", ["referenced anchor"]),
    "anchor": ("  kmeans", "  kmeans: &k {n_init: 2}", ["anchors", "not accepted"]),
    "tag": ("  window_size", "  window_size: !!int 4", ["tags", "not accepted"]),
    "escape_in_value": ("  storage", '  storage: "\\e[31mwindow"', ["storage", "\\x1b[31m"]),
    "path_with_newline": ("  latents", '  latents: "a\\nb"', ["latents", "control"]),
    "path_too_long": ("  latents", "  latents: " + "x" * 5000, ["latents", "4096"]),
    "dotted_key": ("seed", "context.window_size: 4", ['unknown key "context.window_size"', "below its section"]),
    "budget_zero": ("seed", "memory: {budget: 0B}", ["budget", "0B"]),
    "kernels_unknown": ("  threads", "  kernels: avx1024", ["kernels", "avx512"]),
    "tol_negative": ("  kmeans", "  kmeans: {tol: -1.0e-4}", ["tol", ">= 0"]),
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


BAD_TEXTS = {
    "unclosed": ("seed: [1, 2\n", ["yaml:2", "invalid YAML"]),
    "tab": ("seed: 1\n\tdata: x\n", ["yaml:2", "invalid YAML"]),
    "list": ("- a\n- b\n", ["expected a mapping", "a list"]),
    "scalar": ("just words\n", ["expected a mapping", "just words"]),
    "empty": ("", ["data.latents", "required"]),
    "comments_only": ("# nothing\n", ["data.latents", "required"]),
    "two_documents": ("seed: 1\n---\nseed: 2\n", ["document"]),
    "alias": ("a: &x {latents: l.h5}\ndata: *x\n", ["anchor"]),
    "alias_of_nothing": ("data: *x\n", ["referenced anchor"]),
    "cycle": ("a: &x [*x]\n", ["anchor"]),
    "billion_laughs": ("a: [" + "x, " * 9 + "x]\n" + "".join(
        f"b{i}: &b{i} [" + f"*b{i - 1}, " * 9 + f"*b{i - 1}]\n" for i in range(1, 10)), ["yaml:2", "anchor"]),
    "too_large": ("x" * (1 << 20) + ": 1\n", ["1 MiB"]),
    "many_keys": ("".join(f"k{i}: 1\n" for i in range(2000)), ["1000 keys"]),
    "deep_lists": ("data: " + "[" * 5000 + "]" * 5000 + "\n", ["nested deeper"]),
    "deep_maps": ("data: " + "{a: " * 5000 + "1" + "}" * 5000 + "\n", ["nested deeper"]),
    "deep_blocks": ("- " * 5000 + "1\n", ["nested deeper"]),
    "nul": ("data: {latents: \"a\0b\"}\n", ["control character 0x00"]),
    "escape": ("seed: 1 # \x1b[2J\n", ["control character 0x1b"]),
    "not_utf8": (b"seed: 1\ndata: {latents: \xff.h5}\n", ["yaml:2", "UTF-8"]),
    "utf16": ("seed: 1\n".encode("utf-16"), ["UTF-8"]),
    "overlong_utf8": (b"data: {latents: \xc0\xaf}\n", ["UTF-8"]),
    "key_is_a_list": ("? [a]\n: 1\n", ["expected a key", "a list"]),
    "duplicate_section": ("seed: 1\nseed: 2\n", ["duplicate key", "line 1"]),
    "directive": ("%YAML 9.9\n---\nseed: 1\n", ["yaml:1", "invalid YAML"]),
    "unquoted_colon": ("seed: a: b\n", ["yaml:1", "invalid YAML"]),
}


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_bad_text(where, name):
    text, fragments = BAD_TEXTS[name]
    check_rejected(run_text(where, text), 2, ["experiment.yaml", *fragments])
    check_no_output(where)


BAD_CONFIG_FILES = {
    "absent": (lambda p: None, ["No such file"]),
    "folder": (lambda p: p.mkdir(), ["Is a directory"]),
    "fifo": (os.mkfifo, ["latents"]),  # nobody writes to it
    "endless": (lambda p: p.symlink_to("/dev/zero"), ["1 MiB"]),
    "null_device": (lambda p: p.symlink_to("/dev/null"), ["latents"]),
    "circle": (lambda p: p.symlink_to(p.name), ["symbolic links"]),
}


@pytest.mark.parametrize("name", BAD_CONFIG_FILES)
def test_bad_config_file(where, name):
    make, fragments = BAD_CONFIG_FILES[name]
    make(where / "experiment.yaml")
    result = harness.run("run", "-c", where / "experiment.yaml", "--progress", "none", timeout=20)
    check_rejected(result, 2, ["experiment.yaml", *fragments])
    check_no_output(where)


def test_a_byte_order_mark_and_windows_lines_are_fine(where):
    assert run_text(where, b"\xef\xbb\xbf" + "\r\n".join(lines(where)).encode()).code == 0


def test_missing_latents(where):
    check_rejected(run_text(where, "\n".join(lines(where, **{"data.latents": ...}))), 2, ["latents"])
    check_no_output(where)


@pytest.mark.parametrize("changes", [
    {"splits.n_train_speakers": ..., "splits.n_eval_speakers": ...},
    {"splits.n_eval_speakers": ...},
], ids=["none", "half"])
def test_incomplete_splits(where, changes):
    check_rejected(run_text(where, "\n".join(lines(where, **changes))), 2, ["splits"])


BAD_SETTINGS = {
    "near": ("context.window_siz=4", ["window_siz", "window_size"]),
    "wrong_type": ("context.window_size=four", ["window_size", "four"]),
    "no_value": ("context.window_size", ["context.window_size", "KEY=VALUE"]),
    "no_key": ("=4", ["KEY=VALUE"]),
    "empty_part": ("context..window_size=4", ["KEY=VALUE"]),
    "below_a_number": ("seed.x=1", ["seed", "no keys"]),
    "unknown": ("nowhere.at=1", ['unknown key "nowhere"']),
    "index_behind_the_end": ("context.lags.9=1", ["context.lags", "9"]),
    "index_negative": ("context.lags.-1=1", ["context.lags", "-1"]),
    "index_octal": ("context.lags.01=1", ["context.lags", "01"]),
    "list_for_a_map": ("context=[1]", ["context", "a list"]),
    "invalid_yaml": ("context.lags=[1", ["invalid YAML"]),
    "two_documents": ("seed=1\n---\n2", ["document"]),
    "alias": ("seed=*a", ["anchor"]),
    "deep_value": ("seed=" + "[" * 5000, ["nested deeper"]),
    "deep_key": (".".join("a" * 50_000) + "=1", ["50000 parts", "at most 16"]),
    "escape": ("seed=\x1b[31m", ["control character"]),
    "required_gone": ("data.latents=null", ["data.latents", "a path"]),
    "out_of_range": ("clustering.conditions.0.k=0", ["conditions.0.k", "from 1"]),
}


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_bad_set(where, name):
    setting, fragments = BAD_SETTINGS[name]
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


def test_there_are_enough_cases_and_each_asserts_a_message():
    """Every case asserts its exit code, the name of the file or setting, and these fragments of the message."""
    tables = {"files": SPOILED, "unopened": forged_files.UNOPENED_FILES, "speaker lists": BAD_SPEAKER_LISTS,
              "lines": BAD_LINES, "texts": BAD_TEXTS, "configs": BAD_CONFIG_FILES, "settings": BAD_SETTINGS}
    cases = {(table, name): case for table, entries in tables.items() for name, case in entries.items()}
    assert [name for name, case in cases.items() if not case[-1]] == []
    assert len(SPOILED) >= 80 and len(cases) >= 200
    texts = [case[0] for (table, _), case in cases.items() if table in ("texts", "settings")]
    texts += [case[1] for (table, _), case in cases.items() if table == "lines"]
    assert len(set(texts)) == len(texts), "two cases are the same"
