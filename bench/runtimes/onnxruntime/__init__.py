"""ONNX Runtime, from the libraries in its own wheels."""
