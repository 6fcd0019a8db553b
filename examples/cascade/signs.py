"""A convolutional network for traffic signs of 32×32 pixels: the robust one of docs/cascade.md."""

from torch import Tensor, nn

CLASSES = 43


def block(channels: int, wider: int) -> tuple[nn.Module, ...]:
    """3×3 convolution, batch norm, ReLU, 2×2 maximum."""
    return nn.Conv2d(channels, wider, 3, padding=1), nn.BatchNorm2d(wider), nn.ReLU(), nn.MaxPool2d(2)


class Signs(nn.Module):
    """Input (N, 3, 32, 32), output (N, 43): one unnormalised score a class. 336,000 parameters, 7 million
    multiply-adds. The first norm takes exposure out of each picture."""

    def __init__(self) -> None:
        super().__init__()
        begin = (nn.InstanceNorm2d(3), nn.Conv2d(3, 24, 5, stride=2, padding=2), nn.BatchNorm2d(24), nn.ReLU())
        self.features = nn.Sequential(*begin, *block(24, 48), *block(48, 128))
        self.classify = nn.Sequential(
            nn.Flatten(), nn.Dropout(0.3), nn.Linear(16 * 128, 128), nn.ReLU(), nn.Linear(128, CLASSES)
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(self.features(images))


def build() -> nn.Module:
    return Signs()
