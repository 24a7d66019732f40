"""The terminal's dashboard: a database in, a screen that keeps itself current out."""
