"""What samples and values are worth: accuracies with their errors, rankings of V."""
