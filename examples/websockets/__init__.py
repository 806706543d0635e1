"""Websockets for those who are logged in."""
