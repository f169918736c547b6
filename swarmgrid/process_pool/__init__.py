"""The worker processes of this machine: their start, their memory and output, and their end."""
