"""Scans whose steps are linear in the carry, computed for many steps at once.

`parallel_scan` finds in the equations of a step the coefficients A and b of

    c_t = A_t c_{t-1} + b_t,

where A_t acts on each unit by itself. It computes them for all steps at once and solves the
recurrence. Then it knows the carry before every step, so that whatever else the steps compute is
computed for all of them at once, too. `linear` has the rules of what is linear, `recurrence` solves
recurrences, and `steps` finds the values of all steps.
"""

from gru_jax.parallel.recurrence import FORMS, quickest
from gru_jax.parallel.scan import is_linear, parallel_scan
from gru_jax.parallel.steps import NotLinearError

__all__ = ["FORMS", "NotLinearError", "is_linear", "parallel_scan", "quickest"]
