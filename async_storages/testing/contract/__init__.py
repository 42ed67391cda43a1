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

It needs pytest and pytest-asyncio (any mode); with blockbuster installed it also finds calls that block the loop.
Each test's name begins with its group, so that ``-k presign`` or ``-k "read or write"`` selects some:

| group | requirements |
| --- | --- |
| identity | ids lead back to the file, keys are exact, URLs are encoded |
| read | whole files, ranges, missing files, unfinished reads |
| write | every kind of source; failed and cancelled writes leave nothing |
| stat | size, type, etag, time, metadata |
| delete | the file goes, and no other |
| list, copy, metadata | if the storage supports them |
| presign, direct upload | if the storage supports them: used over HTTP, and misused |
| lifecycle | closed, opened again, 200 at once, another loop, a fork, nothing that blocks |
| escape | every operation refuses names that lead elsewhere |
| events | each operation emits its event; errors name operation, file and reason |

The Protocols of `async_storages.storage.capabilities` tell a storage's powers. The test of a missing power checks that
it is missing as a whole: the storage has none of the Protocol's methods, or raises OperationNotSupportedException
because it is not set up. A storage whose presigned URLs need a server starts one in the fixture.

If the backend chooses the ids (`Storage.chooses_ids`), the tests of exact keys check instead that every upload is a new
file. A storage that cannot list its files also overrides `leftovers`, and returns there everything that its backend
holds: the suite has no other way to see the remains of a failed or cancelled write.
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
