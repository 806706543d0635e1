"""Calls to another service."""
