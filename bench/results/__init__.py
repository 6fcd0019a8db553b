"""What is kept of runs: the folder of one, and the formats of earlier versions."""
