"""What is known of boards, links and the server, from measurements alone."""
