"""A study's small CNN for the 43 German traffic signs (GTSRB): six convolutional blocks and FC 8192 → 512 → 43.

The study gives 256×256 pixels, the blocks (convolution 3×3, norm, ReLU, maximum over 2×2, dropout) and the rule of its
widths: from 16, twice as many each time; of what the last block leaves, the classifier keeps half the rows, half the
columns and a quarter of the channels. Six blocks leave 4·4·512 = 8192 → 2·2·128 = 512: 5,791,659 parameters, 22.10 MiB
as saved, the published 22.11. Five leave 8·8·256 = 16,384 → 4·4·64 = 1024: 17,215,915 parameters and 65.68 MiB.

The same rule makes smaller ones for smaller pictures: on 32×32, three blocks leave 4·4 as the six do, two leave 8·8.
Of the study's dropout, a quarter behind each block and half before the last layer, those few channels need less.
"""

from __future__ import annotations

from torch import Tensor, nn

from bench.errors import UsageError


class Signs(nn.Module):
    """(N, 3, size, size) normalised colours to (N, 43) logits. Raises UsageError where the rule leaves no network."""

    def __init__(self, blocks: int, size: int = 256, dropout: float = 0.25) -> None:
        super().__init__()
        if not 0 <= dropout < 0.5:
            raise UsageError(f"a dropout of {dropout} is not from 0 to below 0.5", "The study's is 0.25.")
        if not 1 <= blocks <= 10 or size < 1 or size % 2 ** (blocks + 1):
            raise UsageError(
                f"{blocks} blocks halve a picture {blocks} times and the classifier once more, which {size} pixels "
                "do not allow",
                f"Ask for 1 to 10 blocks, and a size that {2 ** (min(max(blocks, 1), 10) + 1)} divides.",
            )
        layers: list[nn.Module] = []
        channels = 3
        for number in range(blocks):
            width = 16 << number
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            layers += [nn.MaxPool2d(2), nn.Dropout(dropout)]
            channels, size = width, size // 2
        inputs = channels * size * size
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(inputs, inputs // 16), nn.ReLU(), nn.Dropout(2 * dropout), nn.Linear(inputs // 16, 43)
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x).flatten(1))
        return logits


def build(size: int = 256, blocks: int = 6, dropout: float = 0.25) -> Signs:
    return Signs(blocks, size, dropout)
