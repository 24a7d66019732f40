"""A Coinbase that runs on this machine."""
