"""Two methods one after the other: the first changes the structure of a network, the second how numbers are stored."""
