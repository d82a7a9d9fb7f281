"""Which files a split has: folders, lists, and how images and masks pair."""
