"""The suite that every storage passes: subclass it, override one fixture, and run pytest.

```python
import pytest_asyncio

from async_storages.testing import StorageContract


class TestMyStorage(StorageContract):
    @pytest_asyncio.fixture
    async def storage(self):
        async with MyStorage() as storage:
            yield storage
```

It needs pytest and pytest-asyncio (any mode); with blockbuster installed it also looks for calls that block the loop.
The tests' names begin with their group, so that ``-k presign`` or ``-k "read or write"`` selects some:

| group | what it holds the storage to |
| --- | --- |
| identity | ids lead back to the file, keys are exact, URLs are encoded |
| read | whole files, ranges, missing files, reads that nobody finishes |
| write | every kind of source; what fails or is cancelled leaves nothing |
| stat | size, type, etag, time, metadata |
| delete | and nothing but what was to be deleted |
| list, copy, metadata | where the storage has them |
| presign, direct upload | where it has them: really used over HTTP, and misused |
| lifecycle | closed, opened again, 200 at once, another loop, a fork, nothing that blocks |
| escape | names that lead elsewhere are refused by every operation |
| events | each operation tells what it did; errors say what, where and why |

What a storage can do is told by the Protocols of `async_storages.storage`. A test of what it cannot do checks instead
that it wholly lacks it: none of the Protocol's methods, or OperationNotSupportedException where it is not set up. A
storage whose presigned URLs need a server to be tried starts that in the fixture.

Where the backend chooses the ids (`Storage.chooses_ids`), the tests about exact keys check instead that every upload is
a new file. A storage that cannot list its files overrides `leftovers`, too, and tells there all that its backend holds:
the suite sees by nothing else what a failed or cancelled write leaves.
"""

from async_storages.testing.contract.capabilities import CopyContract, ListContract, MetadataContract
from async_storages.testing.contract.escape import EscapeContract
from async_storages.testing.contract.events import EventsContract
from async_storages.testing.contract.identity import IdentityContract
from async_storages.testing.contract.lifecycle import LifecycleContract
from async_storages.testing.contract.presign import DirectUploadContract, PresignContract
from async_storages.testing.contract.read import ReadContract
from async_storages.testing.contract.stat import DeleteContract, StatContract
from async_storages.testing.contract.write import WriteContract

__all__ = ["StorageContract"]


class StorageContract(  # pytest runs the last base first
    EventsContract,
    EscapeContract,
    LifecycleContract,
    DirectUploadContract,
    PresignContract,
    MetadataContract,
    CopyContract,
    ListContract,
    DeleteContract,
    StatContract,
    WriteContract,
    ReadContract,
    IdentityContract,
):
    """All groups of the contract."""
