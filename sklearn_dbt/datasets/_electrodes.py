"""Where electrodes lie on a flat head: those of the 10-10 system, and of montages of MNE."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

#: Rows of the 10-10 system from front to back: letters of the electrodes inside the ring and at
#: its ends, and the angle from the vertex of their middle electrode (degrees, front positive).
ROWS = [
    ("AF", "AF", 54.0),
    ("F", "F", 36.0),
    ("FC", "FT", 18.0),
    ("C", "T", 0.0),
    ("CP", "TP", -18.0),
    ("P", "P", -36.0),
    ("PO", "PO", -54.0),
]
#: Angle of the ring from the vertex, and of its neighbours from each other (degrees).
RING, STEP = 72.0, 18.0
OLD_NAMES = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8", "M1": "TP9", "M2": "TP10"}


def electrode_positions(names: Sequence[str] | None = None, montage: object = None) -> np.ndarray:
    """Give the places of electrodes on the head, seen from above.

    The head is a sphere with Cz at the top. An electrode at the angle :math:`\\theta` from Cz
    and the azimuth :math:`\\varphi` from the nose, to the right, lies at

    .. math:: (x, y) = \\frac{\\theta}{90°} (\\sin \\varphi, \\cos \\varphi)

    (azimuthal equidistant projection): the nose is up, the right ear on the right, and the disc of
    radius 1 ends at the level of nasion, ears and inion.

    Places of a montage of MNE are put on the sphere that fits them best, and brought nearer to the
    vertex, all in the same proportion, if any lies beyond the disc.

    Parameters
    ----------
    names : sequence of str, default=None
        Names such as "Fp1", "Cz", "TP8", in any case; also T3 to T6 of the older system, and M1
        and M2 (mastoids, put at TP9 and TP10). None, only with a montage, gives all of it.
    montage : str or mne.channels.DigMontage, default=None
        Where to look the names up: a montage of MNE's, or the name of one that comes with it
        (which needs MNE). None is the 10-10 system.

    Returns
    -------
    ndarray of shape (n_electrodes, 2)
        Places in the unit disc.

    Raises
    ------
    ValueError
        For names that are not in the system or the montage, or an unknown montage.
    ImportError
        For a montage by its name, without MNE.

    References
    ----------
    .. [1] R. Oostenveld and P. Praamstra, "The five percent electrode system for high-resolution
       EEG and ERP measurements", Clinical Neurophysiology 112 (4), 2001.

    Examples
    --------
    >>> from sklearn_dbt.datasets import electrode_positions
    >>> electrode_positions(["Cz", "Oz", "T8"]).round(2) + 0.0
    array([[ 0. ,  0. ],
           [ 0. , -0.8],
           [ 0.8,  0. ]])
    """
    if montage is None and names is None:
        raise ValueError("electrode_positions: give names of electrodes, a montage, or both.")
    known = _all_positions() if montage is None else _montage_positions(montage)
    names = list(known) if names is None else [str(name) for name in names]
    unknown = [name for name in names if name.upper() not in known]
    if unknown:
        where = "10-10 system" if montage is None else "montage"
        raise ValueError(
            f"electrode_positions: {unknown} are not in the {where}; known are "
            f"{', '.join(known)}. Pass other places to scalp_frames as (x, y) in the unit disc."
        )
    return np.array([known[name.upper()] for name in names]).reshape(-1, 2)


def _montage_positions(montage: object) -> dict[str, tuple[float, float]]:
    """Places of all electrodes of a montage of MNE, by their names in capitals."""
    digitized = _standard_montage(montage) if isinstance(montage, str) else montage
    if not hasattr(digitized, "get_positions"):
        raise ValueError(
            f"electrode_positions: montage={montage!r} must be a montage of MNE or the name of one."
        )
    given = digitized.get_positions()["ch_pos"]
    places = np.array(list(given.values()), dtype=np.float64)
    if len(places) < 4 or not np.isfinite(places).all():
        raise ValueError(
            f"electrode_positions: the montage has {len(places)} electrodes; a head needs four of "
            "known place at least."
        )
    # |p|² = 2 c · p + (r² - |c|²) on a sphere: a linear equation in its centre c.
    equations = np.column_stack([2 * places, np.ones(len(places))])
    centre = np.linalg.lstsq(equations, np.square(places).sum(axis=1), rcond=None)[0][:3]
    flat = np.array([_project(place) for place in places - centre])
    flat /= max(1.0, np.linalg.norm(flat, axis=1).max())
    return dict(zip((name.upper() for name in given), map(tuple, flat.tolist()), strict=True))


def _standard_montage(name: str):
    try:
        import mne
    except ImportError as error:
        raise ImportError(
            f"electrode_positions: montage={name!r} needs mne: pip install mne"
        ) from error
    known = mne.channels.get_builtin_montages()
    if name not in known:
        raise ValueError(
            f"electrode_positions: montage={name!r} does not come with MNE; {', '.join(known)} do."
        )
    return mne.channels.make_standard_montage(name)


@functools.cache
def _all_positions() -> dict[str, tuple[float, float]]:
    sphere = _ring() | _rows()
    sphere |= {old: sphere[new] for old, new in OLD_NAMES.items()}
    return {name.upper(): _project(place) for name, place in sphere.items()}


def _on_sphere(angle: float, azimuth: float) -> np.ndarray:
    """Point at an angle from the vertex, towards an azimuth from the nose to the right."""
    angle, azimuth = np.deg2rad(angle), np.deg2rad(azimuth)
    x, y = np.sin(azimuth), np.cos(azimuth)
    return np.array([np.sin(angle) * x, np.sin(angle) * y, np.cos(angle)])


def _ring() -> dict[str, np.ndarray]:
    """The ring of Fpz and Oz, and the one of the ears below its sides."""
    ends = [end for _, end, _ in ROWS]
    stems = ["Fp", *ends, "O"]
    numbers = [1, *[7] * len(ends), 1]
    places = {"Fpz": _on_sphere(RING, 0), "Oz": _on_sphere(RING, 180)}
    for k, (stem, number) in enumerate(zip(stems, numbers, strict=True), start=1):
        places[f"{stem}{number}"] = _on_sphere(RING, -STEP * k)
        places[f"{stem}{number + 1}"] = _on_sphere(RING, STEP * k)
    for k, stem in enumerate(ends[1:-1], start=3):
        places[f"{stem}9"] = _on_sphere(90, -STEP * k)
        places[f"{stem}10"] = _on_sphere(90, STEP * k)
    return places


def _rows() -> dict[str, np.ndarray]:
    """The rows across the head: circles through both ends of a row and its middle."""
    places = {}
    for k, (stem, _, middle) in enumerate(ROWS, start=2):
        top, end = _on_sphere(middle, 0), _on_sphere(RING, STEP * k)
        places[f"{stem}z"] = top
        for steps in (1, 2, 3):
            right = _on_circle(top, end, steps / 4)
            places[f"{stem}{2 * steps}"] = right
            places[f"{stem}{2 * steps - 1}"] = right * [-1, 1, 1]
    return places


def _on_circle(top: np.ndarray, end: np.ndarray, share: float) -> np.ndarray:
    """Point at a share of the arc from `top`, on the midline, to `end`, symmetric to its mirror."""
    up = top - end * [0, 1, 1]
    height, half_chord = np.linalg.norm(up), end[0]
    radius = (half_chord**2 + height**2) / (2 * height)
    angle = share * np.arctan2(half_chord, radius - height)
    return top + radius * (np.cos(angle) - 1) * up / height + [radius * np.sin(angle), 0, 0]


def _project(place: np.ndarray) -> tuple[float, float]:
    x, y, z = place
    radius = np.arctan2(np.hypot(x, y), z) / (np.pi / 2)
    azimuth = np.arctan2(x, y)
    return float(radius * np.sin(azimuth)), float(radius * np.cos(azimuth))
