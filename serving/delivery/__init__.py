"""The outbox of alerts and the channels that empty it."""
