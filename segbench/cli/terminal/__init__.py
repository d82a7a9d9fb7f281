"""What commands show: tables, progress, messages."""
