"""The native runner: ncnn, compiled here with our own few files on top of it."""
