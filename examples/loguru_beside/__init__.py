"""loguru beside the stack."""
