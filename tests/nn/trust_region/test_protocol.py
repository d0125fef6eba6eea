import pytest
import torch

from sklearn_dbt.nn.trust_region import DecayController, RateLayer, TrustRegionController


def test_plain_layer_fulfils_the_protocol(plain_layer):
    assert isinstance(plain_layer([0.5]), RateLayer)
    assert not isinstance(torch.nn.Dropout(), RateLayer)


@pytest.mark.parametrize("controller", [TrustRegionController, DecayController])
def test_layers_are_checked(controller, plain_layer):
    layer = plain_layer([0.5])
    with pytest.raises(ValueError, match="at least 1 layer"):
        controller([])
    with pytest.raises(TypeError, match=r"layers\[1\].*Dropout has no get_omega"):
        controller([layer, torch.nn.Dropout()])
    with pytest.raises(ValueError, match=r"layers\[1\] is in layers twice"):
        controller([layer, layer])
