"""Attempts to break it: hostile logs, payloads and requests, faults of disks and processes, and long runs.

What a test tried is noted with the fixture `reliability`, which every test of the project can ask for; the
notes of all tests together are `docs/reliability.md`.
"""
