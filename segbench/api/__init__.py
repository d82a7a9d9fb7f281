"""What Python programs and notebooks call, where that takes more than a package below offers."""
