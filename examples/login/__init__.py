"""Log in, and routes for those who are."""
