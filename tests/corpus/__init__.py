"""What is known from elsewhere than the simulator: conformance cases, files with answers, validation."""
