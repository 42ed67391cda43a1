"""A certificate authority of the tests' own, and TLS in front of servers that do not speak it."""

import asyncio
import ipaddress
import ssl
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.relays import relayed, serving

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Certificates:
    """What one authority has signed.

    Attributes:
        authority: The file that clients are to trust.
        server: The context of a server.
    """

    authority: Path
    server: ssl.SSLContext


def certificates(folder: Path, *, host="127.0.0.1", begins=-_DAY, ends=_DAY) -> Certificates:
    """An authority, and a server's certificate of it for a host; good for so long from now."""
    now = datetime.now(UTC)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "The tests' own authority")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(root_key.public_key())
    usage = dict.fromkeys(
        (
            *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("encipher_only", "decipher_only"),
        ),
        False,
    )
    root = (
        _builder(root_name, root_name, root_key, now - 2 * _DAY, now + 2 * _DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
        .add_extension(identifier, critical=False)
        .sign(root_key, hashes.SHA256())
    )
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])
    try:
        subject: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        subject = x509.DNSName(host)
    leaf = (
        _builder(name, root_name, key, now + begins, now + ends)
        .add_extension(x509.SubjectAlternativeName([subject]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    authority, chain = folder / "authority.pem", folder / "server.pem"
    authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(secret + leaf.public_bytes(serialization.Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain)
    return Certificates(authority, context)


def _builder(subject, issuer, key, begins, ends):
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


@dataclass
class Terminator:
    """TLS in front of a server.

    Attributes:
        url: Its root.
        connections: How many clients have tried to connect, handshakes that failed not counted.
    """

    url: str = ""
    connections: int = 0


@asynccontextmanager
async def tls_in_front_of(url: str, context: ssl.SSLContext):
    """Take TLS connections, and pass what they hold on to the server of a URL."""
    state, address = Terminator(), urlsplit(url)

    async def answer(reader, writer):
        state.connections += 1
        await relayed(reader, writer, await asyncio.open_connection(address.hostname, address.port))

    async with AsyncExitStack() as opened:
        state.url = await opened.enter_async_context(serving(answer, context))
        yield state
