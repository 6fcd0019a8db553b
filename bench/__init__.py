"""What a compressed neural network really does on your phone."""

__version__ = "0.1.0"
