"""Every block set up from one class of settings."""
