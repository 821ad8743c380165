"""The cases, one module a topic. A module whose name starts with ``_`` holds helpers."""
