"""From labels and predictions to confusion matrices, and from matrices to scores."""
