"""The drivers: composition only."""
