"""The model behind the emulated Bedrock."""
