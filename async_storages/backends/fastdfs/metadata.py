"""Metadata read while another client may be writing: FastDFS does not replace it at once. No I/O."""

__all__ = ["may_be_torn"]

_PAGE = 4096  # bytes: what a file system writes in one go
_RECORD, _FIELD = b"\1", b"\2"


def may_be_torn(raw: bytes) -> bool:
    """True if this may be a part of metadata being written: nothing, a broken record, or whole pages."""
    return not raw or len(raw) % _PAGE == 0 or not all(_FIELD in record for record in raw.split(_RECORD))
