"""Connections to servers: HTTP sessions and their limits, retries, proxies, certificates, one pool per event loop."""
