"""What several commands share: options, suites, data, masks."""
