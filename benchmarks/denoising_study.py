"""Wavelet denoising against PyWavelets and scikit-image: gain of signal-to-noise ratio in dB.

    python -m benchmarks.denoising_study [--data FOLDER] [--out FOLDER]

Every package chooses its settings among all of its own, once a kind of noise, by the mean gain on
the development half, and is then looked at once on the reporting half. White noise is put on the
signals that come with PyWavelets (every second one is for development). With a folder of recordings
(``--data`` or the environment variable ``SKLEARN_DBT_DATA``), noise that was recorded from muscles
and electrodes is put on a real electrocardiogram, each in its own halves of time; without it that
part is skipped. The folder holds ``100.dat`` of the MIT-BIH Arrhythmia Database and ``BW.mat``,
``EM.mat`` and ``MA.mat`` of its Noise Stress Test Database, at any depth, and ``s0010_re.dat`` of
the PTB Diagnostic Database: another person and another recorder, of whom nothing is for
development.
"""

import argparse
import csv
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pywt
import pywt.data
import scipy.io
import scipy.signal

from benchmarks._harness import RESULTS, environment, load
from sklearn_dbt import WaveletEmbedder

N_TIMES, N_SEEDS, N_WINDOWS = 1024, 5, 20
WAVELET, LEVELS = "sym8", (4, 6, 8)
#: Signal-to-noise ratios that the noise is scaled to, in dB.
STRENGTHS = (0.0, 6.0, 12.0)
MAD = 0.6744897501960817

Denoiser = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Set:
    """Clean signals and noisy ones, (n_strengths, n, n_times)."""

    name: str
    clean: np.ndarray
    noisy: np.ndarray


# --- signals -------------------------------------------------------------------------------------


def snr(clean: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """Power of the signal's variation over that of the error's, in dB, along the last axis."""
    return 10 * np.log10(clean.var(axis=-1) / np.maximum((estimate - clean).var(axis=-1), 1e-30))


def mixed(name: str, clean: np.ndarray, noise: np.ndarray) -> Set:
    """Put noise on signals, as strong as each strength asks for."""
    noise = noise - noise.mean(axis=-1, keepdims=True)
    unit = noise * (clean.std(axis=-1) / noise.std(axis=-1))[:, None]
    factors = 10 ** (-np.array(STRENGTHS) / 20)
    return Set(name, clean, clean + factors[:, None, None] * unit)


def synthetic_sets() -> tuple[Set, list[Set]]:
    """PyWavelets' signals under white noise: every second one, and the others."""
    names = sorted(set(pywt.data.demo_signal("list")) - OWN_LENGTH)
    sets = []
    for half, seed in ((names[::2], 0), (names[1::2], 1)):
        clean = np.stack([pywt.data.demo_signal(name, N_TIMES) for name in half])
        clean = np.repeat(clean.astype(float), N_SEEDS, axis=0)
        noise = np.random.RandomState(seed).standard_normal(clean.shape)
        sets.append(mixed("white", clean, noise))
    return sets[0], sets[1:]


#: Signals of a length of their own.
OWN_LENGTH = {"Gabor", "sineoneoverx"}


def read_212(path: Path) -> np.ndarray:
    """Samples (n, 2) of a two-channel file: twelve bits each, two in three bytes."""
    first, middle, last = np.fromfile(path, np.uint8).reshape(-1, 3).astype(np.int32).T
    values = np.stack([first | (middle & 0x0F) << 8, last | (middle & 0xF0) << 4], axis=1)
    return np.where(values > 2047, values - 4096, values)


def read_ptb(path: Path) -> np.ndarray:
    """Lead II of a record of 12 leads in 16 bits, in mV, from 1000 to 360 samples a second."""
    lead = np.fromfile(path, "<i2").reshape(-1, 12)[:, 1] / 2000.0
    return scipy.signal.resample_poly(lead - lead.mean(), 9, 25)


def ecg_sets(folder: Path) -> list[tuple[Set, list[Set]]]:
    """An electrocardiogram under three recorded noises: first halves, second halves, another."""
    found = {path.name: path for path in sorted(folder.rglob("*"))}
    record = read_212(found["100.dat"])[:, 0] / 200.0  # mV
    sets = []
    for kind in ("ma", "em", "bw"):
        noise = scipy.io.loadmat(found[f"{kind.upper()}.mat"])[kind.upper()][:, 0]
        (early, late), (before, after) = map(halves, (record, noise))
        reporting = [mixed(kind, windows(late), windows(after))]
        if other := found.get("s0010_re.dat"):
            clean = windows(read_ptb(other))
            reporting.append(mixed(f"{kind}, another person", clean, windows(after)))
        sets.append((mixed(kind, windows(early), windows(before)), reporting))
    return sets


def halves(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first half and the second."""
    return x[: len(x) // 2], x[len(x) // 2 :]


def windows(x: np.ndarray) -> np.ndarray:
    """Windows of 2048 samples (5.7 s), spread evenly."""
    starts = np.linspace(0, len(x) - 2 * N_TIMES, N_WINDOWS).astype(int)
    return np.stack([x[start : start + 2 * N_TIMES] for start in starts])


# --- contenders: settings and what they do -------------------------------------------------------


def ours() -> Iterator[tuple[str, Denoiser]]:
    """All settings of `WaveletEmbedder` that denoise."""
    rules = [*itertools.product(("universal", "bayes"), ("soft", "hard", "garrote"))]
    rules += [("sure", "soft"), ("sure", "garrote")]
    kinds = [("dwt", None), ("swt", None), ("packet", "l1"), ("cwt", None)]
    for (kind, best), level, (selection, rule), noise, lowest in itertools.product(
        kinds, LEVELS, rules, ("finest", "level"), ("keep", "drop")
    ):
        embedder = WaveletEmbedder(
            "morlet" if kind == "cwt" else WAVELET,
            level,
            "symmetric",
            kind,
            "denoised",
            best_basis=best,
            selection=selection,
            threshold=rule,
            noise=noise,
            lowest=lowest,
        )
        name = f"{kind} {level}, {selection} {rule}, noise {noise}, {lowest}"
        yield name, partial(_fit_transform, embedder)


def _fit_transform(embedder: WaveletEmbedder, x: np.ndarray) -> np.ndarray:
    return embedder.fit_transform(x[:, None])[:, 0]


def pywavelets() -> Iterator[tuple[str, Denoiser]]:
    """The recipe of PyWavelets' users: transform, universal threshold, and back."""
    rules, noises = ("soft", "hard", "garrote"), ("finest", "level")
    for kind, level, rule, noise, lowest in itertools.product(
        _PYWAVELETS, LEVELS, rules, noises, ("keep", "drop")
    ):
        denoise = partial(_thresholded, *_PYWAVELETS[kind], level, rule, noise, lowest)
        yield f"{kind} {level}, universal {rule}, noise {noise}, {lowest}", denoise


_PYWAVELETS: dict[str, tuple[Callable, Callable]] = {
    "wavedec": (partial(pywt.wavedec, mode="symmetric"), partial(pywt.waverec, mode="symmetric")),
    "swt": (partial(pywt.swt, trim_approx=True), pywt.iswt),
}


def _thresholded(forward, back, level, rule, noise, lowest, x):
    bands = forward(x, WAVELET, level=level, axis=-1)
    shrunk = [bands[0] * (lowest == "keep")]
    for band in bands[1:]:
        source = band if noise == "level" else bands[-1]
        sigma = np.median(np.abs(source), axis=-1, keepdims=True) / MAD
        limit = sigma * np.sqrt(2 * np.log(x.shape[-1]))
        rows = [pywt.threshold(*row, rule) for row in zip(band, limit[:, 0], strict=True)]
        shrunk.append(np.stack(rows))
    return back(shrunk, WAVELET, axis=-1)


def scikit_image(restoration) -> Iterator[tuple[str, Denoiser]]:
    """`denoise_wavelet`, by itself and averaged over shifts (`cycle_spin`)."""
    for level, method, rule, shifts in itertools.product(
        LEVELS, ("BayesShrink", "VisuShrink"), ("soft", "hard"), (0, 15)
    ):
        options = {"wavelet": WAVELET, "wavelet_levels": level, "method": method, "mode": rule}
        name = f"{level}, {method} {rule}, {shifts} shifts"
        yield name, partial(_by_scikit_image, restoration, options, shifts)


def _by_scikit_image(restoration, options: dict, shifts: int, x: np.ndarray) -> np.ndarray:
    if not shifts:
        return np.stack([restoration.denoise_wavelet(row, **options) for row in x])
    return np.stack(
        [
            restoration.cycle_spin(
                row,
                restoration.denoise_wavelet,
                max_shifts=shifts,
                func_kw=options,
                workers=1,
            )
            for row in x
        ]
    )


# --- the study -----------------------------------------------------------------------------------


def gains(denoise: Denoiser, data: Set) -> np.ndarray:
    """Mean gain at each strength, in dB."""
    before, after = (
        np.stack([snr(data.clean, y) for y in ys])
        for ys in (data.noisy, [denoise(x) for x in data.noisy])
    )
    return (after - before).mean(axis=1)


def choose(settings: Iterator[tuple[str, Denoiser]], data: Set) -> tuple[str, Denoiser]:
    """The settings of the greatest mean gain."""
    return max(settings, key=lambda one: gains(one[1], data).mean())


def harm(denoise: Denoiser, data: Set) -> float:
    """Median signal-to-noise ratio that is left of signals without noise, in dB."""
    return float(np.median(snr(data.clean, denoise(data.clean))))


def contenders() -> dict[str, Callable[[], Iterator[tuple[str, Denoiser]]]]:
    """Packages that are installed, and all their settings."""
    found: dict = {"sklearn_dbt": ours, "PyWavelets": pywavelets}
    restoration, missing = load("skimage.restoration")
    if missing:
        print("scikit-image is skipped: not installed")
    else:
        found["scikit-image"] = partial(scikit_image, restoration)
    return found


def study(sets: list[tuple[Set, list[Set]]]) -> list[dict]:
    """One line a kind of noise and package; ours with its default settings, too."""
    lines = []
    default = "as it comes", partial(_fit_transform, WaveletEmbedder(output="denoised"))
    for development, reporting in sets:
        chosen = {package: choose(made(), development) for package, made in contenders().items()}
        for data in reporting:
            for package, setting in [*chosen.items(), ("sklearn_dbt", default)]:
                lines.append(_line(data, package, *setting))
                print(*lines[-1].values(), sep="; ", flush=True)
    return lines


def _line(data: Set, package: str, settings: str, denoise: Denoiser) -> dict:
    line = {"noise": data.name, "package": package, "settings": settings}
    found = gains(denoise, data)
    line |= {f"{s:g} dB": f"{gain:.1f}" for s, gain in zip(STRENGTHS, found, strict=True)}
    return line | {"clean": f"{harm(denoise, data):.0f}"}


def main() -> None:
    """Run the study and write ``denoising.csv``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SKLEARN_DBT_DATA"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    sets = [synthetic_sets()]
    if options.data is None:
        print("electrocardiograms are skipped: no --data and no SKLEARN_DBT_DATA")
    else:
        sets += ecg_sets(Path(options.data))
    lines = study(sets)
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "denoising.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    print(environment())


if __name__ == "__main__":
    main()
