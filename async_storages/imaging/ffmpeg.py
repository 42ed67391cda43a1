"""Posters of videos, made with the program `ffmpeg`."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from async_storages.errors import ImageProcessingException, InvalidArgumentException, InvalidFileTypeException
from async_storages.imaging.limits import ImageLimits
from async_storages.sniff import sniff

__all__ = ["FFmpegPreviewer"]

_HEAD = 4096
_DEMUXERS = {
    "video/mp4": "mov",
    "video/quicktime": "mov",
    "video/x-m4v": "mov",
    "video/3gpp": "mov",
    "video/3gpp2": "mov",
    "video/webm": "matroska",
    "video/x-matroska": "matroska",
    "video/x-msvideo": "avi",
    "video/mpeg": "mpeg",
    "video/mp2t": "mpegts",
    "video/ogg": "ogg",
}
"""The supported containers, and ffmpeg's names for them. ffmpeg also reads playlists, which name other files."""


@dataclass(frozen=True, slots=True)
class FFmpegPreviewer:
    """Makes a PNG of one frame of a video. It needs the program `ffmpeg`.

    Args:
        at: The time of the frame, in seconds from the beginning, at least 0. A shorter video uses its first frame.
        width: The largest width in pixels, at least 1.
        program: The path of the program, or its name on PATH.

    Raises:
        InvalidArgumentException: `at` is below 0, or `width` below 1.

    Example:
        >>> poster = FFmpegPreviewer(at=2, width=1280)
    """

    at: float = 1.0
    width: int = 1920
    program: str = "ffmpeg"

    def __post_init__(self) -> None:
        if not self.at >= 0 or self.width < 1:
            raise InvalidArgumentException(
                f"at is from 0 seconds on, and width from 1 pixel on, not {self.at} and {self.width}"
            )

    def preview(self, source: Path, target: Path, limits: ImageLimits) -> None:
        """Make an image of a video: see `Previewer.preview`."""
        program = shutil.which(self.program)
        if program is None:
            raise ImageProcessingException(f"posters of videos need the program {self.program!r}, which is not on PATH")
        demuxer = _demuxer_of(source)
        complaint = ""
        for at in sorted({self.at, 0.0}, reverse=True):
            complaint = self._run([program, *self._arguments(demuxer, source, target, at, limits)], limits)
            if target.exists() and target.stat().st_size:
                return
        raise InvalidFileTypeException(f"ffmpeg makes no image of the video: {complaint}")

    def _arguments(self, demuxer: str, source: Path, target: Path, at: float, limits: ImageLimits) -> list[str]:
        quiet = [
            "-nostdin",
            "-hide_banner",
            "-loglevel",
            "error",
            "-threads",
            "1",
            "-max_pixels",
            str(limits.max_pixels),
        ]
        # nothing but this file is opened, whatever it names
        reading = ["-protocol_whitelist", "file", "-f", demuxer, "-ss", str(at), "-i", f"file:{source}"]
        scaled = f"scale='min({self.width},iw)':-2:flags=lanczos"
        image = ["-an", "-sn", "-dn", "-frames:v", "1", "-vf", scaled, "-f", "image2", "-c:v", "png", "-update", "1"]
        return [*quiet, *reading, *image, "-y", f"file:{target}"]

    def _run(self, command: list[str], limits: ImageLimits) -> str:
        """Run the program until it ends, and return the last line of its error output."""
        process = subprocess.Popen(  # noqa: S603 - the program is the application's choice
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        with _ended(process):
            try:
                _, complaints = process.communicate(timeout=limits.timeout)
            except subprocess.TimeoutExpired as error:
                raise ImageProcessingException(
                    f"ffmpeg took longer than the {limits.timeout:g} seconds allowed"
                ) from error
        lines = complaints.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it has no frame"


@contextmanager
def _ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """End the process and close its pipes when the block ends, also after an error."""
    with process:
        try:
            yield
        finally:
            process.kill()


def _demuxer_of(source: Path) -> str:
    with source.open("rb") as file:
        content_type = sniff(file.read(_HEAD))
    demuxer = _DEMUXERS.get(content_type or "")
    if demuxer is None:
        raise InvalidFileTypeException(f"{content_type or 'the content'} is no video that posters are made of")
    return demuxer
