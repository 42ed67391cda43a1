"""Uploads from browsers straight to their storage, without passing through the application. No framework is imported.

```python
uploads = DirectUploads(storage, secret, folder="photos", validator=validator)

upload = await uploads.start("köln.png", 123_456, owner=user.id)  # the browser gets this: a form, or a signed PUT
```

Once the file has arrived, ``document.file = await uploads.attach(upload.key, owner=user.id)``.

A browser uploads below a folder for what is pending, under a key that says who may attach it and until when
(`pending_keys`, `pending_files`). The signature fixes key, type and size. `attaching` looks at the file, by a
`verified_copy`, and `first_claim` lets it be attached only once; from then on it is a file like any other. A file that
nobody attaches is removed (`expiry`). `browser_api` is what browsers call, for the routes of each framework.
"""

from async_storages.direct_uploads.uploads import DirectUpload, DirectUploads

__all__ = ["DirectUpload", "DirectUploads"]
