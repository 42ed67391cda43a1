"""Readers of ZIP archives that cannot seek: they believe headers and what follows the data, and see no directory."""

import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from stream_unzip import stream_unzip

type Summaries = dict[str, tuple[int, int]]
"""Size and CRC-32 of each file, by name."""

_JAVA = """
import java.io.*;
import java.util.zip.*;

public class Reader {
    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        try (ZipInputStream zip = new ZipInputStream(new BufferedInputStream(new FileInputStream(args[0])))) {
            byte[] buffer = new byte[1 << 18];
            for (ZipEntry entry; (entry = zip.getNextEntry()) != null; ) {
                CRC32 crc = new CRC32();
                long size = 0;
                for (int read; (read = zip.read(buffer)) > 0; size += read) crc.update(buffer, 0, read);
                out.println(size + " " + crc.getValue() + " " + entry.getName());
            }
        }
    }
}
"""


def summaries(contents: dict[str, bytes]) -> Summaries:
    """What a reader is to find of these."""
    return {name: (len(content), zlib.crc32(content)) for name, content in contents.items()}


def streaming_readers() -> Iterator[Callable[[Path], Summaries]]:
    """Those that are here; each raises for an archive that it does not take."""
    yield _with_stream_unzip
    if shutil.which("javac") and shutil.which("java"):
        yield _with_java


def _with_stream_unzip(archive: Path) -> Summaries:
    found: Summaries = {}
    with archive.open("rb") as file:
        for name, _size, chunks in stream_unzip(iter(lambda: file.read(1 << 18), b"")):
            size = crc = 0
            for chunk in chunks:
                size, crc = size + len(chunk), zlib.crc32(chunk, crc)
            found[name.decode()] = size, crc
    return found


def _with_java(archive: Path) -> Summaries:
    (archive.parent / "Reader.class").write_bytes(_java_class())
    command = ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", str(archive.parent), "Reader", str(archive)]
    lines = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout.splitlines()
    rows = (line.split(" ", 2) for line in lines)
    return {name: (int(size), int(crc)) for size, crc, name in rows}


@cache
def _java_class() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "Reader.java")
        source.write_text(_JAVA)
        subprocess.run(["javac", "-d", folder, str(source)], check=True, capture_output=True)
        return Path(folder, "Reader.class").read_bytes()
