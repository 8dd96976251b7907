"""What work takes: seconds, bytes, memory."""
