"""The answer itself: planted structure passes the decision, the same data without it fails."""

import dataclasses
import json

import harness
import latents
import pytest


@pytest.fixture(scope="module")
def corpus():
    """About 20,000 train rows whose context decides the next change."""
    return latents.make(seed=21, n_speakers=24, utterances_each=10, mean_frames=132, dim=16, noise=0.05)


def verdict(corpus, where):
    path = latents.write(where / "latents.h5", corpus)
    cfg = harness.base_config(path, where / "run")
    cfg["clustering"]["conditions"] = [
        {"name": "mean_vq64", "type": "mean_pool_vq", "k": 64},
        {"name": "pca4_vq64", "type": "pca_vq", "pca_dim": 4, "k": 64},
        {"name": "pca3_quartile", "type": "pca_quartile", "pca_dim": 3},
    ]
    cfg["clustering"]["min_cluster_size"] = 50
    result = harness.run_config(cfg, where)
    assert result.code == 0, str(result)
    cells = json.loads((where / "run" / "metrics.json").read_text())
    return result, *harness.decision(where / "run"), cells


def check_baselines(cells):
    for cell in cells:
        if cell["slice"] == "all":
            assert cell["train"]["n_samples_total"] > 18000
            assert abs(cell["random_baseline_variance_ratio"] - 1) < 0.02
            assert abs(cell["random_baseline_eval_variance_ratio"] - 1) < 0.02


def test_planted_structure_passes(corpus, tmp_path):
    result, passed, conditions, cells = verdict(corpus, tmp_path)
    assert passed and conditions["mean_vq64"] and conditions["pca4_vq64"]
    assert "PASS" in result.out and "PASS" in (tmp_path / "run" / "report.txt").read_text()
    assert min(c["train"]["variance_ratio"] for c in cells) < 0.3
    check_baselines(cells)


@pytest.mark.parametrize("shuffle", [latents.shuffle_deltas, latents.shuffle_frames])
def test_shuffled_data_fails(corpus, tmp_path, shuffle):
    result, passed, conditions, cells = verdict(shuffle(corpus), tmp_path)
    assert not passed and not any(conditions.values())
    assert "FAIL" in result.out and "PASS" not in result.out.replace("PASS/FAIL", "")
    check_baselines(cells)
    decision = json.loads((tmp_path / "run" / "decision.json").read_text())
    assert all(c["reasons"] for c in decision["conditions"])
    floor = 0.97 if shuffle is latents.shuffle_deltas else 0.6
    assert all(c[s]["variance_ratio"] > floor for c in cells for s in ("train", "eval") if c["slice"] == "all")


def test_structure_of_train_speakers_only_fails(corpus, tmp_path):
    """Structure that does not carry over to speakers never seen in training must not pass."""
    cfg = harness.base_config("unused", "unused")
    names = corpus.speaker_names
    train, ev = names[:16], names[16:]
    noise = latents.shuffle_deltas(corpus)
    mixed = dataclasses.replace(corpus, xs=[a if s in train else b
                                            for a, b, s in zip(corpus.xs, noise.xs, corpus.speakers)])
    path = latents.write(tmp_path / "latents.h5", mixed)
    for key, members in (("train", train), ("eval", ev)):
        (tmp_path / f"{key}.txt").write_text("\n".join(members))
        cfg["splits"][f"{key}_speakers_file"] = str(tmp_path / f"{key}.txt")
        del cfg["splits"][f"n_{key}_speakers"]
    cfg["data"]["latents"], cfg["output"]["dir"] = str(path), str(tmp_path / "run")
    run_dir = harness.run_ok(cfg, tmp_path)
    passed, _ = harness.decision(run_dir)
    cells = json.loads((run_dir / "metrics.json").read_text())
    assert not passed
    assert all(c["cross_speaker_degradation"] > 0.2 for c in cells if c["condition"] == "mean_vq16")
