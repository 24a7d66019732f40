"""Rows become anomalies and bars: pure, no I/O, no clock."""
