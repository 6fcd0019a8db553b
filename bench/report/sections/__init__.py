"""The sections that come with bench: a module each, with one function `section`."""
