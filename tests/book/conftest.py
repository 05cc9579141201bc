from built import site  # noqa: F401  (a fixture)
