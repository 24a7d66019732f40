"""What is seen: the dashboards and the queries that they share."""
