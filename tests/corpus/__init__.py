"""What is known from elsewhere than the simulator: situations with answers, and what a server accepts."""
