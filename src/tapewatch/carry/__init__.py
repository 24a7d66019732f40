"""Rows travel between processes and files, in one order per lane."""
