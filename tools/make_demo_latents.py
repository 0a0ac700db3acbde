#!/usr/bin/env python3
"""Makes data/demo/latents.h5: log-mel frames of speech synthesised by espeak-ng (data/README.md).

Every choice is seeded, so that two runs write the same bytes. Needs espeak-ng and the Python packages that
data/README.md names.
"""

import argparse
import csv
import io
import subprocess
import sys
import wave
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent / "encoders"))
from log_mel import DIM, FRAME_SAMPLES, SAMPLE_RATE_HZ, log_mel, mel_filterbank  # noqa: E402

DEMO_DIR = Path(__file__).resolve().parent.parent / "data" / "demo"

NOISE_RMS = 1e-3  # full scale is 1: -60 dB, a quiet room
ENERGY_STEP = 1 / 1024  # hides the last bits, in which processors may differ


def read_sentences(path):
    """Returns {language: [sentence, ...]}."""
    sentences = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            current = sentences.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            current.append(line)
    return sentences


def read_speakers(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def speak(speaker, text):
    """Returns the samples of `text` in the speaker's voice, float64 in [-1, 1)."""
    voice = ["-v", speaker["voice"], "-p", speaker["pitch"], "-s", speaker["speed_wpm"]]
    command = ["espeak-ng", *voice, "-b", "1", "-z", "--stdout", text]
    done = subprocess.run(command, capture_output=True, check=True)
    with wave.open(io.BytesIO(done.stdout)) as audio:
        if (audio.getframerate(), audio.getnchannels(), audio.getsampwidth()) != (SAMPLE_RATE_HZ, 1, 2):
            raise RuntimeError("espeak-ng wrote another kind of audio than 22050 Hz, mono, 16 bit")
        # A streamed header does not know the length, so read what is there.
        samples = np.frombuffer(audio.readframes(1 << 30), dtype="<i2")
    return samples / 32768.0


def speak_utterance(speaker, sentences, rng):
    """Speaks sentences one after the other until a length drawn from 3.5 to 7.5 seconds is reached."""
    target = rng.uniform(3.5, 7.5) * SAMPLE_RATE_HZ
    parts, n_samples = [], 0
    for choice in rng.permutation(len(sentences)):
        parts.append(speak(speaker, sentences[choice]))
        parts.append(np.zeros(int(rng.uniform(0.15, 0.35) * SAMPLE_RATE_HZ)))
        n_samples += len(parts[-2]) + len(parts[-1])
        if n_samples >= target:
            break
    samples = np.concatenate(parts)
    return samples + NOISE_RMS * rng.standard_normal(len(samples))


def log_energy(samples):
    """Returns log mean power per frame [T]."""
    n_frames = len(samples) // FRAME_SAMPLES
    power = np.mean(samples[: n_frames * FRAME_SAMPLES].reshape(n_frames, FRAME_SAMPLES) ** 2, axis=1)
    return np.round(np.log(power) / ENERGY_STEP) * ENERGY_STEP


def make_utterances(speakers, sentences, utterances_per_speaker, seed):
    """Yields (id, speaker name, frames [T, DIM], energy [T])."""
    filters = mel_filterbank()
    for s, speaker in enumerate(speakers):
        for u in range(utterances_per_speaker):
            rng = np.random.default_rng([seed, s, u])
            samples = speak_utterance(speaker, sentences[speaker["language"]], rng)
            name = speaker["speaker"]
            yield f"{name}_u{u + 1:03d}", name, log_mel(samples, filters), log_energy(samples)


def write_latents(path, utterances):
    """Writes layout A of data/FORMAT.md. Returns (utterances, frames)."""
    ids, names, frames, energies = zip(*utterances)
    offset = np.concatenate([[0], np.cumsum([len(f) for f in frames])])
    x = np.concatenate(frames).astype(np.float16)
    energy = np.concatenate(energies).astype(np.float32)
    packed = {"shuffle": True, **hdf5plugin.Zstd(clevel=19)}
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "phase0-latents"
        file.attrs["version"] = 1
        file.attrs["frame_rate_hz"] = SAMPLE_RATE_HZ / FRAME_SAMPLES
        file.create_dataset("x", data=x, chunks=(min(256, len(x)), DIM), **packed)
        file.create_dataset("energy", data=energy, chunks=(min(16384, len(energy)),), **packed)
        group = file.create_group("utterances")
        group.create_dataset("id", data=list(ids), dtype=h5py.string_dtype("utf-8"))
        group.create_dataset("speaker", data=list(names), dtype=h5py.string_dtype("utf-8"))
        group.create_dataset("offset", data=offset.astype(np.int64))
    return len(ids), len(x)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=DEMO_DIR / "latents.h5")
    parser.add_argument("--utterances-per-speaker", type=int, default=10)
    parser.add_argument("--seed", type=int, default=42)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    speakers = read_speakers(DEMO_DIR / "speakers.csv")
    sentences = read_sentences(DEMO_DIR / "sentences.txt")
    utterances = make_utterances(speakers, sentences, arguments.utterances_per_speaker, arguments.seed)
    n_utterances, n_frames = write_latents(arguments.out, utterances)
    print(f"{arguments.out}: {len(speakers)} speakers, {n_utterances} utterances, {n_frames} frames x {DIM}, "
          f"{arguments.out.stat().st_size} bytes")


if __name__ == "__main__":
    try:
        main()
    except FileNotFoundError as error:
        hint = " (apt-get install espeak-ng)" if error.filename == "espeak-ng" else ""
        sys.exit(f"{error.filename}: not found{hint}")
