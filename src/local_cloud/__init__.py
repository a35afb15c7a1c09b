"""AWS, Upstash and Bedrock on loopback, for development and tests; never shipped."""
