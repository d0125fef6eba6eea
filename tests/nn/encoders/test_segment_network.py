"""All networks that learn from segments start alike."""

import pytest
import torch

from sklearn_dbt.nn.encoders import (
    GeneralizedContrastiveNetwork,
    IdentifiableVAE,
    TimeContrastiveNetwork,
)
from sklearn_dbt.nn.encoders._segment_network import SegmentNetwork


@pytest.mark.parametrize(
    "network", [GeneralizedContrastiveNetwork, IdentifiableVAE, TimeContrastiveNetwork]
)
def test_features_start_as_the_linear_unmixing(network):
    assert issubclass(network, SegmentNetwork)
    generator = torch.Generator().manual_seed(0)
    x, unmixing = (torch.randn(*shape, generator=generator) for shape in ((60, 3), (2, 3)))
    net = network(3, 2, 9)
    net.start(unmixing, x, torch.arange(4).repeat_interleave(15))
    linear = x @ unmixing.T
    expected = linear.abs() if network is TimeContrastiveNetwork else linear
    with torch.no_grad():
        torch.testing.assert_close(net.features(x), expected, atol=0.05, rtol=0)
    # What belongs to segments is that of the four given ones.
    assert any(len(p) == 4 for p in net.parameters() if p.ndim)
    assert not any(len(p) == 9 for p in net.parameters() if p.ndim)


def test_the_base_is_no_network():
    with pytest.raises(TypeError, match="abstract"):
        SegmentNetwork()
