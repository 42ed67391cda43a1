"""Credentials of Google Cloud Storage: the account, its access tokens, and its signatures."""
