"""The same operations without ``await``, for synchronous code: ``file.sync.read()``.

`background_loop` runs coroutines in a thread. `methods` makes synchronous methods from asynchronous ones. `files` and
`storages` have the classes of ``StoredFile.sync`` and ``Storage.sync``.
"""
