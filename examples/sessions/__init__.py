"""Accounts with sessions: register, log in, refresh, log out."""
