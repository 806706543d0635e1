"""Routes for whoever starts, watches and feeds the processes."""
