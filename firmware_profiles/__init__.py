"""What is known of each board, as data with sources."""
