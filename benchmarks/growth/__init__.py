"""Does an operation cost more when the archive holds more? An index of any size, asked beside a small one."""
