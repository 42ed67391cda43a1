"""Metadata as it is read while another client may be writing it, without I/O: FastDFS does not replace it at once."""

__all__ = ["may_be_torn"]

_PAGE = 4096  # bytes: what a file system writes in one go
_RECORD, _FIELD = b"\1", b"\2"


def may_be_torn(raw: bytes) -> bool:
    """Whether this may be part of what is being written: nothing, a record that breaks off, or whole pages."""
    return not raw or len(raw) % _PAGE == 0 or not all(_FIELD in record for record in raw.split(_RECORD))
