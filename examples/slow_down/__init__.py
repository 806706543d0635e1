"""A login that slows down guessing, over the library `limits`."""
