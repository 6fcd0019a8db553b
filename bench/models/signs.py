"""A small network for the 43 German traffic signs (GTSRB): six convolutional blocks and FC 2048 → 256 → 43.

Its study gives 256×256 pixels, six blocks and the widths of the classifier; the rest follows from that. Each block is a
convolution 3×3, norm, ReLU and a maximum over 2×2, so that 256 / 2^6 = 4×4 values are left, and 2048 = 128 · 4 · 4
makes the last block 128 wide. The widths before it, which the study leaves open, grow as usual: 16, 32, 64, 64, 128.
That makes 817,979 parameters, 65 % of them in the classifier.
"""

from __future__ import annotations

from torch import Tensor, nn

from bench.models import Form

_WIDTHS = (16, 32, 64, 64, 128, 128)


class Signs(nn.Module):
    """(N, 3, 256, 256) normalised colours to (N, 43) logits."""

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        channels = 3
        for width in _WIDTHS:
            convolution = nn.Conv2d(channels, width, 3, padding=1, bias=False)
            blocks += [convolution, nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
            channels = width
        self.features = nn.Sequential(*blocks)
        self.classifier = nn.Sequential(nn.Linear(2048, 256), nn.ReLU(), nn.Dropout(), nn.Linear(256, 43))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x).flatten(1))
        return logits


def build(form: Form) -> Signs:
    return Signs()
