"""Clinical terms and arithmetic: CTCAE, vertebral levels and sectors, opioid equivalents, scales, dose."""
