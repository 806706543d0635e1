"""Stores of sessions and revoked tokens."""
