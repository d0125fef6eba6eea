import torch
from torch import nn

from sklearn_dbt.nn.dropout._precision import SinglePrecision


class Held(SinglePrecision):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.norm = nn.BatchNorm1d(2)
        self.register_buffer("none", None)
        self.register_buffer("numbers", torch.tensor([1.1, 2.3]))
        self.register_buffer("count", torch.tensor(3))


def test_buffers_keep_single_precision_and_parameters_follow():
    held = Held()
    numbers = held.numbers.clone()
    for convert in (nn.Module.half, nn.Module.bfloat16):
        assert convert(held) is held
        assert held.linear.weight.dtype.itemsize == 2
        assert held.norm.running_var.dtype == torch.float32
        assert torch.equal(held.numbers, numbers)
    assert held.double().numbers.dtype == torch.float64
    assert held.float().numbers.dtype == torch.float32
    assert held.count.dtype == torch.int64
    assert held.to("meta").half().numbers.device.type == "meta"
