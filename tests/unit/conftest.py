"""Hypothesis without deadlines and without health checks of speed: a busy machine is no defect."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "unit", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unit")
