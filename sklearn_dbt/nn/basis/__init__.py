"""Bases: analysis, synthesis, and what each coefficient is."""

from ._base import Basis, Layout
from ._canonical_polyadic import CanonicalPolyadic
from ._composition import Composition
from ._cwt import CWT
from ._dct import DCT
from ._dictionary import Dictionary
from ._dwt import DWT
from ._fourier import Fourier
from ._fractional_fourier import FractionalFourier
from ._gabor import Gabor
from ._graph_fourier import GraphFourier
from ._hartley import Hartley
from ._ica import ICA
from ._identity import Identity
from ._lattice_wavelet import LatticeWavelet
from ._learned_basis import LearnedBasis
from ._lifting import LiftingDWT
from ._mel import Mel
from ._parallel import Choice, Stack
from ._pca import PCA
from ._principal_components import principal_components
from ._registry import BASES, make_basis
from ._select_basis import select_basis
from ._separable import RangeDoppler, Separable
from ._spatial import SpatialDFT, steering_response, steering_vector
from ._stationary_wavelet import StationaryWavelet
from ._stft import STFT
from ._tensor_train import TensorTrain
from ._tucker import Tucker
from ._wavelet_packet import WaveletPacket

__all__ = [
    "BASES",
    "CWT",
    "DCT",
    "DWT",
    "ICA",
    "PCA",
    "STFT",
    "Basis",
    "CanonicalPolyadic",
    "Choice",
    "Composition",
    "Dictionary",
    "Fourier",
    "FractionalFourier",
    "Gabor",
    "GraphFourier",
    "Hartley",
    "Identity",
    "LatticeWavelet",
    "Layout",
    "LearnedBasis",
    "LiftingDWT",
    "Mel",
    "RangeDoppler",
    "Separable",
    "SpatialDFT",
    "Stack",
    "StationaryWavelet",
    "TensorTrain",
    "Tucker",
    "WaveletPacket",
    "make_basis",
    "principal_components",
    "select_basis",
    "steering_response",
    "steering_vector",
]
