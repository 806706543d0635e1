"""A shop over an async database, tested with all that the plugin has."""
