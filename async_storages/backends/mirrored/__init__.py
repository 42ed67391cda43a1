"""A primary storage and its mirrors that work as one storage."""
