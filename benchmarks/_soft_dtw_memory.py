"""Peak memory of soft-DTW forward and backward: one contender, in a process of its own.

``python -m benchmarks._soft_dtw_memory pysdtw 16 8 1024`` prints the bytes by which the resident
memory grew at its highest beyond what it was after imports and a tiny first call.
"""

import gc
import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks._harness import Row, load

Distance = Callable[[Tensor, Tensor], Tensor]


def distance(contender: str, gamma: float = 1.0) -> Distance:
    """Soft-DTW of a batch of pairs (n_pairs, n_channels, n_times) by one of the packages."""
    if contender == "sklearn_dbt":
        from sklearn_dbt.nn import soft_dtw

        return lambda x, y: soft_dtw(x, y, gamma)
    if contender == "pysdtw":
        peer = importlib.import_module("pysdtw").SoftDTW(gamma=gamma, use_cuda=False)
        return lambda x, y: peer(x.mT.contiguous(), y.mT.contiguous())
    loss = importlib.import_module("tslearn.metrics").SoftDTWLossPyTorch(gamma=gamma)
    return lambda x, y: loss(x.mT, y.mT)


def memory_rows(shape: tuple[int, int, int], peers: tuple[str, ...]) -> list[Row]:
    """Measure ours and the peers' in fresh processes."""
    case = f"{shape[0]} pairs, {shape[1]} x {shape[2]} float32 + gradient, memory"
    peaks, rows = {}, []
    for name in ("sklearn_dbt", *peers):
        _, missing = load(name)
        if missing:
            rows.append(Row("soft-DTW", case, name, note=f"skipped: {missing[name]}"))
            continue
        command = [sys.executable, "-m", __spec__.name, name, *map(str, shape)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        peaks[name] = int(printed)
        ratio = peaks[name] / peaks["sklearn_dbt"]
        note = f"{peaks[name] / 2**20:.1f} MiB, {ratio:.2f} x ours"
        rows.append(Row("soft-DTW", case, name, ratio=ratio, note=note))
    return rows


def peak_bytes(call: Callable[[], object]) -> int:
    """Most resident memory during a call, beyond what there was before it (on Linux).

    The kernel's high-water mark is set back first: that of imports and compilers may be higher.
    """
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _resident("VmRSS")
    call()
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    raise ValueError(f"no {field} in /proc/self/status")


def main(contender: str, *shape: str) -> None:
    """Print the peak of one contender."""
    solve = distance(contender)
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, *map(int, shape), generator=generator)
    x.requires_grad_()
    torch.autograd.grad(solve(x[:2, :, :8], y[:2, :, :8]).sum(), x)
    print(peak_bytes(lambda: torch.autograd.grad(solve(x, y).sum(), x)))


if __name__ == "__main__":
    main(*sys.argv[1:])
