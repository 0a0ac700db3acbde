#!/usr/bin/env python3
"""Encoder of wav files: the log-mel frames of the demo data (data/README.md, "How it is made"). Needs numpy only.

    phase0 encoder-check -- python3 tools/encoders/log_mel.py

Takes 16 bit PCM at 22,050 Hz of up to an hour; channels are averaged.
"""

import wave

import encoder
import numpy as np

SAMPLE_RATE_HZ = 22050  # what espeak-ng writes
FRAME_SAMPLES = 1764  # 80 ms: 12.5 frames a second
SUB_FRAMES = 8  # spectra per frame, 10 ms apart
MEL_BANDS = 40
DIM = SUB_FRAMES * MEL_BANDS
WINDOW_SAMPLES = 512  # 23 ms
FFT_SIZE = 1024
MEL_LOW_HZ, MEL_HIGH_HZ = 40.0, 8000.0
LOG_STEP = 1 / 4  # nats, 1.1 dB in power: finer steps mostly store noise
MIN_POWER = 1e-12  # far under the least that 16 bits hold: digital silence has a logarithm too
MAX_FRAMES = 45_000  # an hour
BLOCK_SPECTRA = 4096  # at a time, which bounds the memory


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
    frames = np.empty((n_spectra, MEL_BANDS))
    for start in range(0, n_spectra, BLOCK_SPECTRA):
        block = slice(start, start + BLOCK_SPECTRA)
        segments = padded[centres[block, None] + np.arange(WINDOW_SAMPLES)] * window
        power = np.abs(np.fft.rfft(segments, FFT_SIZE)) ** 2 / np.sum(window**2)
        frames[block] = np.log(np.maximum(power @ filters, MIN_POWER))
    return (np.round(frames / LOG_STEP) * LOG_STEP).reshape(n_frames, DIM)


def read_wav(number, path):
    """Returns the samples, float64 in [-1, 1), channels averaged."""
    try:
        with wave.open(path.decode(), "rb") as audio:
            if (audio.getframerate(), audio.getsampwidth()) != (SAMPLE_RATE_HZ, 2):
                raise encoder.InputError(number, f"{audio.getframerate()} Hz of {8 * audio.getsampwidth()} bits; "
                                         f"{SAMPLE_RATE_HZ} Hz of 16 bits are needed")
            n_channels = audio.getnchannels()
            # One more than allowed is enough to tell; a header need not know the length.
            data = audio.readframes((MAX_FRAMES + 1) * FRAME_SAMPLES)
    except (OSError, EOFError, wave.Error, UnicodeError, ValueError) as error:
        raise encoder.InputError(number, f"no wav file that can be read: {error}") from error
    whole = len(data) // (2 * n_channels) * n_channels
    samples = np.frombuffer(data, dtype="<i2", count=whole).reshape(-1, n_channels)
    if len(samples) >= (MAX_FRAMES + 1) * FRAME_SAMPLES:
        raise encoder.InputError(number, "longer than an hour")
    return samples.mean(axis=1) / 32768.0


def start(_hello):
    filters = mel_filterbank()
    description = {"name": "log-mel", "input": "wav", "dim": DIM, "dtype": "float16",
                   "frame_rate_hz": SAMPLE_RATE_HZ / FRAME_SAMPLES, "max_items": 16, "max_item_bytes": 4096,
                   "max_item_frames": MAX_FRAMES}
    return description, lambda items: [log_mel(read_wav(i, path), filters) for i, path in enumerate(items)]


if __name__ == "__main__":
    encoder.serve(start)
