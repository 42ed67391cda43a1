"""The test suite that every storage passes. Subclass it, override one fixture, and run pytest.

```python
import pytest_asyncio

from async_storages.testing import StorageContract


class TestMyStorage(StorageContract):
    @pytest_asyncio.fixture
    async def storage(self):
        async with MyStorage() as storage:
            yield storage
```

It needs pytest and pytest-asyncio (any mode). If blockbuster is installed, it also finds calls that block the loop.
Each test's name begins with its group, so ``-k presign`` or ``-k "read or write"`` selects some:

| group | requirements |
| --- | --- |
| identity | ids find the file again, keys are exact, URLs are encoded |
| read | whole files, ranges, missing files, unfinished reads |
| write | every kind of source; failed and cancelled writes leave nothing |
| stat | size, type, etag, time, metadata |
| delete | the file is deleted, and no other file |
| list, copy, metadata | if the storage supports them |
| presign, direct upload | if the storage supports them: the tests use and misuse them over HTTP |
| lifecycle | close, reopen, 200 tasks at once, another event loop, a fork, no blocking calls |
| escape | every operation refuses names that point outside the storage |
| events | each operation emits its event; errors name operation, file and reason |

The Protocols of `async_storages.storage.capabilities` describe a storage's capabilities. If a storage lacks a
capability, the test checks that all of it is missing: the storage has none of the Protocol's methods, or they raise
OperationNotSupportedException because it is not set up. If your storage's presigned URLs need a server, start one in
the fixture.

If the backend chooses the ids (`Storage.chooses_ids`), the tests of exact keys check instead that every upload is a new
file.

If your storage cannot list its files, override `leftovers` as well, and return everything that the backend holds. The
suite has no other way to see the remains of a failed or cancelled write.
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
    """The tests that every storage passes.

    To test a storage of your own, subclass it and override the fixture `storage`. The name of each test begins with its
    group, such as ``read`` or ``write``.
    """
