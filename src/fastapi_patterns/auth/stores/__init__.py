"""Stores for sessions and revoked tokens: in memory, in the application's database, in Redis or Valkey."""
