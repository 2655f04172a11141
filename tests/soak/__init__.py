"""A soak: hours of incidents, with an eye on what every process holds and what the disk keeps."""
