"""Where the electrodes of the international 10-10 system lie on a flat head."""

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


def electrode_positions(names: Sequence[str]) -> np.ndarray:
    """Give the places of 10-10 electrodes on the head, seen from above.

    The head is a sphere with Cz at the top. An electrode at the angle :math:`\\theta` from Cz
    and the azimuth :math:`\\varphi` from the nose, to the right, lies at

    .. math:: (x, y) = \\frac{\\theta}{90°} (\\sin \\varphi, \\cos \\varphi)

    (azimuthal equidistant projection): the nose is up, the right ear on the right, and the disc of
    radius 1 ends at the level of nasion, ears and inion.

    Parameters
    ----------
    names : sequence of str
        Names such as "Fp1", "Cz", "TP8", in any case; also T3 to T6 of the older system, and M1
        and M2 (mastoids, put at TP9 and TP10).

    Returns
    -------
    ndarray of shape (n_electrodes, 2)
        Places in the unit disc.

    Raises
    ------
    ValueError
        For names that are not in the system.

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
    known = _all_positions()
    asked = [str(name).upper() for name in names]
    unknown = [name for name, key in zip(names, asked, strict=True) if key not in known]
    if unknown:
        raise ValueError(
            f"electrode_positions: {unknown} are not in the 10-10 system; known are "
            f"{', '.join(known)}. Pass other places to scalp_frames as (x, y) in the unit disc."
        )
    return np.array([known[key] for key in asked]).reshape(-1, 2)


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
