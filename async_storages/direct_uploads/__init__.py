"""Uploads that go from the browser to the storage, without passing through the application."""
