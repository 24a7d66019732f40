"""Anomalies reach a person, or it is known why not."""
