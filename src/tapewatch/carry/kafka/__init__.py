"""Rows to and from Apache Kafka. Of the whole program, only this folder imports confluent_kafka."""
