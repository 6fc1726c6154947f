"""The tab in a real Chromium, and its pure modules as unit tests inside the same browser."""
