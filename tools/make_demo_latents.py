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

DEMO_DIR = Path(__file__).resolve().parent.parent / "data" / "demo"

SAMPLE_RATE_HZ = 22050  # what espeak-ng writes
FRAME_SAMPLES = 1764  # 80 ms: 12.5 frames a second
SUB_FRAMES = 8  # spectra per frame, 10 ms apart
MEL_BANDS = 40
DIM = SUB_FRAMES * MEL_BANDS
WINDOW_SAMPLES = 512  # 23 ms
FFT_SIZE = 1024
MEL_LOW_HZ, MEL_HIGH_HZ = 40.0, 8000.0
NOISE_RMS = 1e-3  # full scale is 1: -60 dB, a quiet room
LOG_STEP = 1 / 4  # nats, 1.1 dB in power: finer steps mostly store noise
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


def mel_filterbank():
    """Returns triangles [FFT_SIZE / 2 + 1, MEL_BANDS] of sum 1, even on the scale 2595 log10(1 + f / 700)."""
    low, high = (2595.0 * np.log10(1.0 + hz / 700.0) for hz in (MEL_LOW_HZ, MEL_HIGH_HZ))
    mel = np.linspace(low, high, MEL_BANDS + 2)
    edges = 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    bins = np.arange(FFT_SIZE // 2 + 1)[:, None] * (SAMPLE_RATE_HZ / FFT_SIZE)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0.0, np.minimum(rising, falling))
    return filters / filters.sum(axis=0)


def log_mel(samples, filters):
    """Returns frames [T, DIM], sub-frame by sub-frame, as log power in steps of LOG_STEP."""
    n_frames = len(samples) // FRAME_SAMPLES
    n_spectra = n_frames * SUB_FRAMES
    # A sub-frame is 220.5 samples: centres fall on every other half sample and are rounded down.
    centres = (2 * np.arange(n_spectra) + 1) * FRAME_SAMPLES // (2 * SUB_FRAMES)
    padded = np.pad(samples, WINDOW_SAMPLES // 2)
    window = np.hanning(WINDOW_SAMPLES + 1)[:-1]
    segments = padded[centres[:, None] + np.arange(WINDOW_SAMPLES)] * window
    power = np.abs(np.fft.rfft(segments, FFT_SIZE)) ** 2 / np.sum(window**2)
    frames = np.log(power @ filters)
    return (np.round(frames / LOG_STEP) * LOG_STEP).reshape(n_frames, DIM)


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
