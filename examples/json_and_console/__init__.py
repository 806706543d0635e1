"""JSON logs in production, colours at home."""
