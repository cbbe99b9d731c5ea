"""What a round shows in the UI: pictures and pages."""
