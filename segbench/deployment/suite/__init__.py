"""Deploys all trained networks of a suite, tests them on its images, and times them."""
