"""structlog beside the stack."""
