"""Output formats of leaderboards and reports: terminal, CSV, JSON, Markdown, HTML, LaTeX."""
