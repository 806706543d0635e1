"""Security headers on every answer."""
