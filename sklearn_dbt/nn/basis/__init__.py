"""Bases: analysis, synthesis, and what each coefficient is."""

from ._base import Basis, Layout
from ._dct import DCT
from ._dwt import DWT
from ._fourier import Fourier
from ._pca import PCA
from ._registry import BASES, make_basis

__all__ = ["BASES", "DCT", "DWT", "PCA", "Basis", "Fourier", "Layout", "make_basis"]
