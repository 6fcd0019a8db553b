"""A convolutional network for traffic signs of 32×32 pixels: the robust one of docs/cascade.md."""

from torch import Tensor, nn

CLASSES = 43


def block(channels: int, wider: int) -> nn.Sequential:
    """3×3 convolution, batch norm, ReLU, 2×2 maximum."""
    convolution = nn.Conv2d(channels, wider, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(wider), nn.ReLU(), nn.MaxPool2d(2))


class Signs(nn.Module):
    """Input (N, 3, 32, 32), output (N, 43): one unnormalised score a class. 247,000 parameters, 13 million
    multiply-adds."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            block(3, 32),
            block(32, 64),
            block(64, 128),
            nn.Conv2d(128, 128, 3, padding=1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classify = nn.Linear(128, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(self.pool(self.features(images)).flatten(1))


def build() -> nn.Module:
    return Signs()
