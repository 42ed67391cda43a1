"""GCS storages on the test server, behind the gate."""

from urllib.parse import urlsplit

from async_storages import GCSStorage
from async_storages.backends.transport.http import HttpOptions
from async_storages.backends.transport.retries import Retries
from async_storages.testing.faults import FaultProxy
from tests.support.gcs_accounts import service_account
from tests.support.gcs_gate import Gate
from tests.support.patience import TIME_OUT

FAST = HttpOptions(
    connect_timeout=TIME_OUT,
    read_timeout=TIME_OUT,
    pool_timeout=TIME_OUT,
    cleanup_timeout=TIME_OUT,
    retries=Retries(attempts=4, base=0.001, cap=0.01),
)
"""Options with which nothing takes long that goes wrong, and nothing times out that goes on."""


def gate_to(server):
    """A gate in front of the server, as an async context manager."""
    return Gate(server.endpoint_url).served()


def gcs_storage(gate, bucket, *, endpoint_url=None, **options):
    """A storage behind the gate, with an account that may do everything."""
    account = service_account(token_uri=f"{gate.url}/token")
    given = {} if "anonymous" in options else {"service_account_info": account}
    return GCSStorage(bucket, endpoint_url=endpoint_url or gate.url, **given, **options)


def proxy_to(gate):
    """A fault proxy in front of the gate; not started yet."""
    address = urlsplit(gate.url)
    return FaultProxy(address.hostname, address.port)
