"""Signatures of replies: which unit says something is proved, never believed."""

from __future__ import annotations

import hashlib
import hmac


def sign(secret: bytes, reply_id: str, value: bytes) -> str:
    """Return the signature of a reply: hex HMAC-SHA256 (RFC 2104) over its id, a line feed and its bytes."""
    return hmac.new(secret, reply_id.encode() + b"\n" + value, hashlib.sha256).hexdigest()


def signature_holds(secret: bytes, reply_id: str, value: bytes, signature: str) -> bool:
    """Tell in constant time whether `sign` gives this signature."""
    return hmac.compare_digest(sign(secret, reply_id, value).encode(), signature.encode())
