"""Keys for other purposes than signing tokens, derived from the application's secret: one label a purpose."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

__all__ = ["derive_key"]


def derive_key(secret: bytes, label: str) -> bytes:
    """Derive 32 bytes for one purpose with HKDF-SHA256: keys of other labels tell nothing of them (RFC 5869)."""
    return HKDF(hashes.SHA256(), length=32, salt=None, info=f"fastapi-patterns: {label}".encode()).derive(secret)
