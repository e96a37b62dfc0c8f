"""A `Table`, the encodings of its rows, and its SQL."""
