"""Tables, figures and one HTML page from what a run stored and what `analyse` found."""
