"""What is remembered: one schema for SQLite and PostgreSQL, and the JSON-lines sink that follows it."""
