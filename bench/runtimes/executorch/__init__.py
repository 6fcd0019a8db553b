"""ExecuTorch, from the libraries in its own wheels."""
