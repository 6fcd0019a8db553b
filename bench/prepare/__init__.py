"""From a case of a plan to files that its runtimes load: samples, training, compression, export and its proof.

Everything is cached by content. torch is imported only when something has to be made: a second run reads a few files.
"""

from bench.prepare.case import Prepared, case

__all__ = ["Prepared", "case"]
