"""How many examples a property is tried on where the usual hundred are too many or too few."""

from hypothesis import HealthCheck, settings


def examples(count, **how):
    """Settings of a property: so many examples, and as many times more as the profile has."""
    return settings(max_examples=count * settings.default.max_examples // 100, **how)


#: For properties that write into a folder of the test's own.
FIXED_FILES = {"suppress_health_check": [HealthCheck.function_scoped_fixture]}
