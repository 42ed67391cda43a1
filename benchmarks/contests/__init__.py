"""Short contests between ours and a peer, for ``python -m benchmarks --quick``."""
