"""What is known from elsewhere than the simulator: files with answers, and validation by a real server."""
