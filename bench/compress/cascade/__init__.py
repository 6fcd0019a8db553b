"""Two networks as one: a small one answers, and the ordinary one is asked where the small one is not sure."""
