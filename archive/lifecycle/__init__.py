"""What happens to an instance; no protocol in it."""
