"""Forms whose files stream from the socket straight to the storage, for all frameworks. No framework is imported."""
