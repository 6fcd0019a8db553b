"""Libraries that the runner loads by name: the program for them, and the loader of glibc that starts it anywhere."""
