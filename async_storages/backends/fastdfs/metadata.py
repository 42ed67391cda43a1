"""Metadata that is read while another client writes it. FastDFS does not replace it in one step. No I/O."""

__all__ = ["may_be_torn"]

_PAGE = 4096  # bytes: what a file system writes in one go
_RECORD, _FIELD = b"\1", b"\2"


def may_be_torn(raw: bytes) -> bool:
    """Return True if this may be half-written metadata: nothing, a broken record, or whole pages."""
    return not raw or len(raw) % _PAGE == 0 or not all(_FIELD in record for record in raw.split(_RECORD))
