"""What a round will take and make, from a handful of its questions that went through its stages."""
