"""Priors with known behaviour, for tests of loops and schedules, and the plugin object that carries them.

Each function returns a spec; `as_plugin(spec, ...)` makes an object that a PluginHost takes (fixture `only_plugins`)::

    host = only_plugins(as_plugin(flat_color((1, 0, 0)), raises_at(3)))
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace

import torch
from attrs import frozen
from torch import Tensor

from pshead_core.config.plugin import PluginConfig
from pshead_core.errors import PsheadError
from pshead_core.hookspecs import hookimpl
from pshead_core.priors.contribution import DenoisedTarget, ImageGradient
from pshead_core.priors.protocols import BuildContext, Guidance, Refiner, Step
from pshead_core.render.base import Views
from pshead_core.specs import KINDS, GuidanceSpec, RefinerSpec, Spec, ViewNeeds
from pshead_core.testing.subject import subject_of

Colour = tuple[float, float, float]


@frozen(kw_only=True)
class FakeConfig(PluginConfig):
    """Fakes have nothing to configure: their behaviour is fixed where their spec is made."""


@frozen(kw_only=True)
class LinearDenoiser:
    """SDS with the exact denoiser of pictures of independent Gaussian pixels, mean `mean`, standard deviation `std`.

    With x_t = a x + s n (a² + s² = 1) the posterior mean of the noise is linear in x_t:
    eps(x_t) = s (x_t - a mean) / (a² std² + s²). SDS (arXiv:2209.14988, eq. 3, weight 1) returns eps(x_t) - n, whose
    expectation over n is s a (x - mean) / (a² std² + s²): see `expected`.
    """

    mean: float
    std: float
    signal: float
    """a, the factor of the picture at the fixed timestep, strictly between 0 and 1."""

    def contribute(self, views: Views, step: Step) -> ImageGradient:
        """Return one draw of the SDS gradient, divided by the number of views."""
        noise = torch.randn(views.rgb.shape, generator=step.generator).to(views.rgb)
        noisy = self.signal * views.rgb + self._sigma * noise
        predicted = self._sigma * (noisy - self.signal * self.mean) / self._variance
        return ImageGradient(rgb=(predicted - noise) / len(views.rgb))

    def expected(self, rgb: Tensor) -> Tensor:
        """Return the expectation of the gradient over the noise, `[view, height, width, 3]`."""
        return self._sigma * self.signal * (rgb - self.mean) / self._variance / len(rgb)

    @property
    def _sigma(self) -> float:
        return float((1 - self.signal**2) ** 0.5)

    @property
    def _variance(self) -> float:
        return self.signal**2 * self.std**2 + self._sigma**2


@frozen
class _Guidance:
    """A guidance made of one function of views and step that returns the gradient of the sum over views."""

    gradient: Callable[[Views, Step], Tensor]

    def contribute(self, views: Views, step: Step) -> ImageGradient:
        return ImageGradient(rgb=self.gradient(views, step) / len(views.rgb))


@frozen
class _Refiner:
    target: Colour

    def refine(self, views: Views, step: Step) -> DenoisedTarget:
        colour = views.rgb.new_tensor(self.target).expand_as(views.rgb).clone()
        return DenoisedTarget(rgb=colour, weight=torch.ones_like(views.rgb[..., 0]))


def flat_color(color: Colour = (0.2, 0.4, 0.6), *, name: str = "flat_color") -> GuidanceSpec:
    """Return a guidance that pulls every pixel to `color`: gradient x - color, so one step of size 1 reaches it."""
    return _guidance(name, lambda views, _: views.rgb - views.rgb.new_tensor(color))


def flat_color_refiner(color: Colour = (0.2, 0.4, 0.6), *, name: str = "flat_color") -> RefinerSpec:
    """Return a refiner whose target is `color` everywhere, with weight 1."""

    def build(_: PluginConfig, __: BuildContext) -> Refiner:
        return _Refiner(color)

    return RefinerSpec(
        name=name,
        summary="fake: a target of one colour",
        config=FakeConfig,
        build=build,
        tiny=FakeConfig,
        tags=frozenset({"deterministic", "views_independent"}),
        licences=("Apache-2.0",),
    )


def linear_denoiser(
    mean: float = 0.5, std: float = 0.2, signal: float = 0.8, *, name: str = "linear_denoiser"
) -> GuidanceSpec:
    """Return the guidance `LinearDenoiser`, whose expected gradient is known in closed form."""
    return _spec(name, lambda _, __: LinearDenoiser(mean=mean, std=std, signal=signal))


def noisy(scale: float = 1.0, *, name: str = "noisy") -> GuidanceSpec:
    """Return a guidance of pure noise from the slot's own random stream."""

    def gradient(views: Views, step: Step) -> Tensor:
        return scale * torch.randn(views.rgb.shape, generator=step.generator).to(views.rgb)

    return _guidance(name, gradient)


def raises_at(step_index: int, *, name: str = "raises_at") -> GuidanceSpec:
    """Return a guidance that contributes zero until it raises a PsheadError at one step."""

    def gradient(views: Views, step: Step) -> Tensor:
        if step.index == step_index:
            raise PsheadError(f"'{name}' fails at step {step_index}, as it was told to")
        return torch.zeros_like(views.rgb)

    return _guidance(name, gradient)


def nan_at(step_index: int, *, name: str = "nan_at") -> GuidanceSpec:
    """Return a guidance with a single NaN in its gradient at one step."""

    def gradient(views: Views, step: Step) -> Tensor:
        values = torch.zeros_like(views.rgb)
        if step.index == step_index:
            values.view(-1)[values.numel() // 2] = float("nan")
        return values

    return _guidance(name, gradient)


def slow(seconds: float = 0.05, *, name: str = "slow") -> GuidanceSpec:
    """Return a guidance that waits, for tests of progress, time left and interruption."""

    def gradient(views: Views, _: Step) -> Tensor:
        time.sleep(seconds)
        return torch.zeros_like(views.rgb)

    return _guidance(name, gradient)


def wrong_shape(*, name: str = "wrong_shape") -> GuidanceSpec:
    """Return a guidance whose gradient has the size of a latent (an eighth), the most common mistake."""
    return _guidance(name, lambda views, _: views.rgb[:, ::8, ::8] * 0)


def as_plugin(*specs: Spec) -> object:
    """Return a plugin object that registers the specs, each under the hook of its kind."""
    hooks: dict[str, Callable[[], list[Spec]]] = {}
    for kind in KINDS:
        offered = [spec for spec in specs if subject_of(spec).kind == kind]
        if offered:
            hooks[f"pshead_{kind}"] = _hook(offered, f"pshead_{kind}")
    return SimpleNamespace(__name__="fakes", **hooks)


def _hook(specs: list[Spec], name: str) -> Callable[[], list[Spec]]:
    def offer() -> list[Spec]:
        return specs

    offer.__name__ = name
    return hookimpl(offer)


def _guidance(name: str, gradient: Callable[[Views, Step], Tensor]) -> GuidanceSpec:
    return _spec(name, lambda _, __: _Guidance(gradient))


def _spec(name: str, build: Callable[[PluginConfig, BuildContext], Guidance]) -> GuidanceSpec:
    return GuidanceSpec(
        name=name,
        summary=f"fake: {name}",
        config=FakeConfig,
        build=build,
        tiny=FakeConfig,
        needs=ViewNeeds(outputs=frozenset({"rgb"})),
        tags=frozenset({"deterministic", "views_independent"}),
        licences=("Apache-2.0",),
    )
