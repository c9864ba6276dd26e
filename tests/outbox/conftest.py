from tests.cast import cast  # noqa: F401
