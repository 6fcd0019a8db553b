"""A small convolutional variational autoencoder of digits. Kingma and Welling, arXiv 1312.6114."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.networks.builtin.initial import he

LATENT = 16


class VAE(nn.Module):
    """(N, 1, 28, 28) grey values in 0..1 to logits of the same shape: how likely each pixel is inked.

    Trained, the code is drawn around its mean; in evaluation it is the mean, so that one image has one answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * 7 * 7, 256),
            nn.ReLU(),
        )
        self.code = nn.Linear(256, 2 * LATENT)
        self.decoder = nn.Sequential(
            nn.Linear(LATENT, 256),
            nn.ReLU(),
            nn.Linear(256, 64 * 7 * 7),
            nn.ReLU(),
            nn.Unflatten(1, (64, 7, 7)),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),
        )
        he(self)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the code, each (N, LATENT)."""
        mean, log_variance = self.code(self.encoder(x)).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, code: Tensor) -> Tensor:
        """(N, LATENT) to logits (N, 1, 28, 28)."""
        logits: Tensor = self.decoder(code)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        mean, log_variance = self.encode(x)
        if self.training:
            mean = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        return self.decode(mean)


def build() -> VAE:
    return VAE()
