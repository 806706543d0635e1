"""Password reset and e-mail check with one-time tokens."""
