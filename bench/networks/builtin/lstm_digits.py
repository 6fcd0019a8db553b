"""An LSTM that reads a digit row by row, as a sequence: Le, Jaitly and Hinton 2015 (arXiv 1504.00941) by rows.

There a digit is 784 steps of one pixel; rows of 28 pixels are the form that most use: 81,674 parameters.
"""

from __future__ import annotations

from torch import Tensor, nn

ROW, WIDTH, CLASSES = 28, 128, 10


class LSTMDigits(nn.Module):
    """(N, 1, 28, 28) grey values in 0..1 to (N, 10) logits: 28 steps, then a linear layer on the last."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.LSTM(ROW, WIDTH, batch_first=True)
        self.answer = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.rows(x.squeeze(1))
        logits: Tensor = self.answer(states[:, -1])
        return logits


def build() -> LSTMDigits:
    return LSTMDigits()
