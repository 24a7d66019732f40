"""Bytes from a venue become rows."""
