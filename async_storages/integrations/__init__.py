"""Integrations: each optional, each thin, none known to the core."""
