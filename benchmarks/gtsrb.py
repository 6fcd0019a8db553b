"""The network of `make bench-gtsrb`: a small CNN for 43 traffic signs at 32×32, which bench trains itself.

The German Traffic Sign Recognition Benchmark (Stallkamp et al., Neural Networks 32, 2012) does not come with bench:
docs/data.md says in which forms it is read.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from bench.networks import Network, parse_inputs

WIDTHS = (3, 24, 48, 96)
CLASSES = 43


def build() -> nn.Module:
    """(N, 3, 32, 32) colours to (N, 43) logits: 256,427 parameters. The first norm takes exposure out of each picture,
    in which these differ most."""
    layers: list[nn.Module] = [nn.InstanceNorm2d(3)]
    for before, after in pairwise(WIDTHS):
        size = 5 if before == 3 else 3
        layers += [nn.Conv2d(before, after, size, padding=size // 2), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
    classifier = (nn.Linear(16 * WIDTHS[-1], 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, CLASSES))
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), *classifier)


def network() -> Network:
    return Network(
        name="gtsrb",
        title="small CNN for GTSRB",
        inputs=parse_inputs("3x32x32"),
        task="classification",
        build=build,
        learns=True,
    )
