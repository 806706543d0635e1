"""Websockets of users that are in a database."""
