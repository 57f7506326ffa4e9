"""Optimizers, made of optax: clip the gradients, apply the rule, scale by the schedule."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from gru_jax import fields
from gru_jax.axes import Array

OPTIMIZERS = ("adam", "adamw", "rmsprop", "sgd")
SCHEDULES = ("constant", "cosine", "warmup_cosine", "warmup_constant")


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """How gradients become updates.

    The learning rate and the bound of the clip are arguments of `transform`, since seeds may
    differ in them.

    name: "adam", "adamw", "rmsprop" or "sgd".
    beta1: decay of the mean of gradients (adam, adamw); momentum (rmsprop, sgd).
    beta2: decay of the mean of squared gradients (adam, adamw, rmsprop).
    epsilon: added to the root of that mean (adam, adamw, rmsprop).
    weight_decay: a step of size s also subtracts s * weight_decay * parameter (adamw).
    schedule: a factor on the learning rate. "constant" is 1; "cosine" falls from 1 to 0 over
      `decay_steps`; "warmup_constant" and "warmup_cosine" first rise from 0 to 1 over
      `warmup_steps`, which count among `decay_steps`.
    """

    name: str = "adam"
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    schedule: str = "constant"
    warmup_steps: int = 0
    decay_steps: int = 0

    def __post_init__(self):
        fields.one_of("name", self.name, OPTIMIZERS)
        fields.real("beta1", self.beta1, least=0, below=1)
        fields.real("beta2", self.beta2, least=0, below=1)
        fields.real("epsilon", self.epsilon, above=0)
        fields.real("weight_decay", self.weight_decay, least=0)
        fields.one_of("schedule", self.schedule, SCHEDULES)
        warms, decays = self.schedule.startswith("warmup"), self.decays
        fields.integer("warmup_steps", self.warmup_steps, 1 if warms else 0)
        fields.integer("decay_steps", self.decay_steps, self.warmup_steps + 1 if decays else 0)
        unused = [
            ("warmup_steps", warms, "0 with a schedule that does not warm up"),
            ("decay_steps", decays, "0 with a schedule that does not decay"),
            ("weight_decay", self.name == "adamw", "0 without adamw"),
        ]
        for field, used, allowed in unused:
            if getattr(self, field) and not used:
                raise fields.FieldError(field, getattr(self, field), allowed)

    @property
    def decays(self) -> bool:
        """Whether the schedule falls to 0, which it reaches after `decay_steps`."""
        return self.schedule.endswith("cosine")

    def schedule_factor(self) -> optax.Schedule:
        """A schedule that peaks at 1."""
        if self.schedule == "cosine":
            return optax.cosine_decay_schedule(1.0, self.decay_steps)
        if self.schedule == "warmup_cosine":
            return optax.warmup_cosine_decay_schedule(0.0, 1.0, self.warmup_steps, self.decay_steps)
        if self.schedule == "warmup_constant":
            return optax.linear_schedule(0.0, 1.0, self.warmup_steps)
        return optax.constant_schedule(1.0)

    def transform(
        self, learning_rate: float | Array, clip_norm: float | Array
    ) -> optax.GradientTransformation:
        """The optax chain. Both arguments may be traced, since its state does not depend on them.

        For parameters of less precision than float32 it computes, and keeps its state, in float32:
        in bfloat16, a `beta2` of 0.999 would be 1.

        Args:
          learning_rate: the peak step size.
          clip_norm: gradients whose global norm is larger are scaled down to it; inf: none are.
        """
        return _in_float32(
            optax.chain(
                optax.clip_by_global_norm(clip_norm),
                *self._rule(),
                optax.scale_by_schedule(self.schedule_factor()),
                optax.scale(-1.0 * learning_rate),
            )
        )

    def _rule(self) -> list[Any]:
        if self.name in ("adam", "adamw"):
            rule = [optax.scale_by_adam(self.beta1, self.beta2, self.epsilon)]
            decay = [optax.add_decayed_weights(self.weight_decay)] if self.name == "adamw" else []
            return rule + decay
        scale = [optax.scale_by_rms(self.beta2, self.epsilon, eps_in_sqrt=False)]
        momentum = [optax.trace(self.beta1)] if self.beta1 else []
        return (scale if self.name == "rmsprop" else []) + momentum


def _in_float32(rule: optax.GradientTransformation) -> optax.GradientTransformation:
    """The same rule, at least in that precision; float64 stays as it is."""
    wide = lambda tree: jax.tree.map(
        lambda a: a.astype(jnp.promote_types(a.dtype, jnp.float32)), tree
    )
    return optax.GradientTransformation(
        lambda params: rule.init(wide(params)),
        lambda updates, state, params=None: rule.update(wide(updates), state, wide(params)),
    )
