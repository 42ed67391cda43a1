"""Direct uploads: browsers upload files straight to the storage, not through the application.

```python
uploads = DirectUploads(storage, secret, folder="photos", validator=validator)

upload = await uploads.start("köln.png", 123_456, owner=user.id)  # the browser gets this: a form, or a signed PUT
```

When the file has arrived, call ``document.file = await uploads.attach(upload.key, owner=user.id)``.

A browser uploads into a folder of pending files. The key of a pending file holds its owner and its deadline
(`pending_keys`, `pending_files`). A signature fixes key, content type and size. `attaching` copies the file and checks
the copy (`verified_copy`). `first_claim` ensures that an upload is attached only once. `expiry` removes uploads that
were not attached in time. `browser_api` answers the requests of browsers, for the routes of each framework. These
modules import no framework.
"""

from async_storages.direct_uploads.uploads import DirectUpload, DirectUploads

__all__ = ["DirectUpload", "DirectUploads"]
