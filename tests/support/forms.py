"""multipart/form-data as a client writes it, well or badly."""

BOUNDARY = "tests"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def part(content=b"", disposition='form-data; name="file"; filename="a.txt"', *headers):
    """One part; a disposition of None leaves the header out."""
    lines = [*([] if disposition is None else [f"Content-Disposition: {disposition}"]), *headers]
    head = "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")
    return f"--{BOUNDARY}\r\n".encode() + head + b"\r\n" + content + b"\r\n"


def field(name, text):
    """A part that is no file."""
    return part(text.encode(), f'form-data; name="{name}"')


def file(content, filename="a.txt", name="file"):
    """A part that is a file."""
    return part(content, f'form-data; name="{name}"; filename="{filename}"')


def form(*parts):
    """A whole form."""
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
