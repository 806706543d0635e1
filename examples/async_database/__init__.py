"""An async database."""
