"""What leaderboards and reports are written as: terminal, CSV, JSON, Markdown, HTML, LaTeX."""
