"""Sound and video without a signature: frames and packets in a row, as a few bits of sync are in many random files."""

__all__ = ["by_frames"]

# Kilobits per second of MPEG audio layer III, from index 1: ISO/IEC 11172-3 and 13818-3.
_MPEG_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)

# Kilobits per second of AC-3: ETSI TS 102 366, table 4.13.
_AC3 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_AC3_SYNC = b"\x0b\x77"
_LAST_AC3, _EAC3 = 8, 16

_PACKETS = 3
_PACKET_SYNC = 0x47


def by_frames(head: bytes) -> str | None:
    """The type of a file that these first bytes begin, from whole frames of it."""
    if head[:2] == _AC3_SYNC:
        return _dolby(head)
    if _mpeg_frame_size(head) and _is_followed(head, _mpeg_frame_size(head)):
        return "audio/mpeg"
    return "video/mp2t" if _has_packets(head, 0, 188) or _has_packets(head, 4, 192) else None


def _is_followed(head: bytes, size: int) -> bool:
    return head[size : size + 2] == head[:2]


def _mpeg_frame_size(head: bytes) -> int:
    """The bytes of the layer III frame that `head` begins with; 0 if it begins with none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version, rate, sampling, padding = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or rate in {0, 15} or sampling == 3:
        return 0
    is_mpeg_1 = version == 3
    kilobits = (_MPEG_1 if is_mpeg_1 else _MPEG_2)[rate - 1]
    samples = (44100, 48000, 32000)[sampling] >> {3: 0, 2: 1, 0: 2}[version]
    return (144_000 if is_mpeg_1 else 72_000) * kilobits // samples + padding


def _dolby(head: bytes) -> str | None:
    """AC-3 and E-AC-3: ETSI TS 102 366, 4.3.1 and E.1.2."""
    if len(head) < 6:
        return None
    version = head[5] >> 3
    if version <= _LAST_AC3:
        size, kind = _ac3_frame_size(head), "audio/ac3"
    else:
        words = (head[2] & 7) << 8 | head[3]
        size, kind = (2 * words + 2 if version == _EAC3 and head[2] >> 6 != 3 else 0), "audio/eac3"
    return kind if size and _is_followed(head, size) else None


def _ac3_frame_size(head: bytes) -> int:
    sampling, code = head[4] >> 6, head[4] & 0x3F
    if sampling == 3 or code >> 1 >= len(_AC3):
        return 0
    kilobits = _AC3[code >> 1]
    if sampling == 1:  # 44.1 kHz: frames of two lengths
        return 2 * (kilobits * 96_000 // 44_100 + (code & 1))
    return kilobits * (4 if sampling == 0 else 6)


def _has_packets(head: bytes, start: int, size: int) -> bool:
    """True for three or more packets of an MPEG transport stream (ISO/IEC 13818-1, 2.4.3.2)."""
    syncs = head[start::size]
    return (
        len(syncs) >= _PACKETS
        and syncs.count(_PACKET_SYNC) == len(syncs)
        and all(control & 0x30 for control in head[start + 3 :: size])
    )
