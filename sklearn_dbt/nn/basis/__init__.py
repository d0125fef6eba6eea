"""Bases: analysis, synthesis, and what each coefficient is."""

from ._base import Basis, Layout
from ._composition import Composition
from ._dct import DCT
from ._dwt import DWT
from ._fourier import Fourier
from ._identity import Identity
from ._parallel import Choice, Stack
from ._pca import PCA
from ._registry import BASES, make_basis
from ._select_basis import select_basis
from ._separable import RangeDoppler, Separable
from ._spatial import SpatialDFT, steering_response, steering_vector

__all__ = [
    "BASES",
    "DCT",
    "DWT",
    "PCA",
    "Basis",
    "Choice",
    "Composition",
    "Fourier",
    "Identity",
    "Layout",
    "RangeDoppler",
    "Separable",
    "SpatialDFT",
    "Stack",
    "make_basis",
    "select_basis",
    "steering_response",
    "steering_vector",
]
