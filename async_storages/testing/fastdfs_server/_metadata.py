r"""Metadata as FastDFS 6.16 keeps it: ``key \x02 value`` joined by ``\x01``, sorted by key. Pure."""

__all__ = ["merged", "overwritten"]

_RECORD, _FIELD = b"\x01", b"\x02"
_KEY, _VALUE = 64, 256  # bytes that are kept


def overwritten(raw: bytes) -> bytes:
    """Return the metadata that the server keeps of a request that replaces metadata.

    Like the real server, it cuts long records but keeps the old length, so remains of the request follow. It drops
    records without a separator (storage/storage_service.c, storage_sort_metadata_buff).
    """
    packed = _packed(_records(raw))
    return (packed + b"\0" + raw[len(packed) + 1 :])[: len(raw)]


def merged(old: bytes, new: bytes) -> bytes:
    """Add the new records to the old metadata. They replace records with the same key."""
    return _packed(list((dict(_records(old)) | dict(_records(new))).items()))


def _records(raw: bytes) -> list[tuple[bytes, bytes]]:
    pairs = [record.split(_FIELD, 1) for record in raw.split(_RECORD) if _FIELD in record]
    return [(key[:_KEY], value[:_VALUE]) for key, value in pairs]


def _packed(records: list[tuple[bytes, bytes]]) -> bytes:
    in_order = sorted(records, key=lambda record: record[0])
    return _RECORD.join(key + _FIELD + value for key, value in in_order)
