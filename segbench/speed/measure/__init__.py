"""Measures the speed, memory and energy of one network on this machine."""
