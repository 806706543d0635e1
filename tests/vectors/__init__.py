"""Inputs with the verdict that they must get."""
