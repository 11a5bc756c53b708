"""What happens when instances have been received: commands, ends of studies, files renamed."""
