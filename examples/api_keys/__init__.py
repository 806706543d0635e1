"""Keys for machines, beside the tokens of people."""
