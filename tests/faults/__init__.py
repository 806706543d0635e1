"""Faults of a real PostgreSQL under load: what was told is what is stored, and nothing leaks."""
