"""Forms whose files go from the socket straight to their storage, for any framework: none is imported here."""
