"""The same operations without ``await``, for code that is not asynchronous: ``file.sync.read()``.

`background_loop` runs coroutines in a thread; `methods` makes synchronous methods of asynchronous ones; `files` and
`storages` are what ``StoredFile.sync`` and ``Storage.sync`` return.
"""
