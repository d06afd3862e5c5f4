"""The fitted Alarm A: what it watches, what it says, and how it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nescio.decoding.watching import Alert, TokenStatistics
from nescio.drift.channels import CHANNELS, ChannelPlan, Running, Standard
from nescio.drift.settings import check_same_settings
from nescio.errors import InvalidInput, SchemaError
from nescio.outcome import Estimate, Recipe
from nescio.outcome.fields import floats, listed, object_of, texts, whole
from nescio.trace import Origin

__all__ = ["ConformalAlarm", "ConformalWatch", "Rule"]

_FIELDS = (
    "alarm",
    "rules",
    "plan",
    "combine",
    "alarm_rate",
    "horizon",
    "runs",
    "rank",
    "population",
    "settings",
    "recipe",
)
_RULE = ("channel", "centre", "scale", "middle", "spread", "threshold")
_PLAN = ("names", "memory", "ngram", "window")
_SETTINGS = (
    "model_digest",
    "tokenizer_digest",
    "template_digest",
    "precision",
    "kind",
    "sampling",
    "stop",
    "chat",
)


@dataclass(frozen=True)
class Rule:
    """One channel of an alarm: it goes off where (S - middle)/spread > threshold.

    Args:
        channel: of `CHANNELS`.
        standard: what centres and scales the numbers of tokens.
        middle, spread: of a run's maximum, where channels are compared; 0 and 1 where
            each has its own threshold.
        threshold: what sets it off.
    """

    channel: str
    standard: Standard
    middle: float
    spread: float
    threshold: float


@dataclass(frozen=True)
class ConformalAlarm:
    """A fitted alarm; see `nescio.drift.alarm.fit`. Frozen.

    Args:
        rules: one a channel.
        plan: how the channels run.
        combine: ``maximum`` or ``split``.
        alarm_rate: at most so many new healthy answers set it off.
        horizon: tokens of an answer that are watched.
        runs: N, healthy runs behind the threshold; ``rank``: which of their maxima
            it is.
        population: the prompts it speaks of.
        settings: model, precision and decoding it speaks of.
        recipe: how it was fitted.
    """

    rules: tuple[Rule, ...]
    plan: ChannelPlan
    combine: str
    alarm_rate: float
    horizon: int
    runs: int
    rank: int
    population: str
    settings: Mapping[str, Any]
    recipe: Recipe

    @property
    def renyi_orders(self) -> tuple[float, ...]:
        """None are needed."""
        return ()

    def start(
        self, origin: Origin | None, *, population: str | None = None
    ) -> ConformalWatch:
        """The watch over a new answer.

        Args:
            origin: of the answer; None leaves it to the caller that the model and
                the settings are those of the recipe.
            population: the prompts it comes from, if they are others.

        Raises:
            InvalidInput: another model or other settings than the recipe's.
        """
        if origin is not None:
            check_same_settings(self.settings, origin)
        return ConformalWatch(self, population or self.population)

    @property
    def band(self) -> tuple[float | None, float | None]:
        """Where the smoothed entropy of a healthy answer stays, nats; None: open."""
        ends: list[float | None] = []
        for name, sign in (("entropy_down", -1.0), ("entropy_up", 1.0)):
            rule = next((r for r in self.rules if r.channel == name), None)
            if rule is None:
                ends.append(None)
                continue
            most = rule.middle + rule.spread * rule.threshold
            ends.append(rule.standard.centre + sign * rule.standard.scale * most)
        return ends[0], ends[1]

    def rates(self, *, level: float = 0.95) -> dict[str, Estimate]:
        """At what rate healthy answers set off this very alarm.

        The rate of an alarm that N runs have set is itself random, and as its rank k
        has it Beta(N + 1 - k, k): at most so where maxima tie.

        Args:
            level: of the interval, in (0, 1).

        Returns:
            ``alarm_rate``, and where the rate is split one for each channel, with a
            bound for all of them together.

        Source: Vovk (2012), section 2.
        """
        if self.combine != "split":
            return {"alarm_rate": self._rate("alarm_rate", level)}
        single = {
            f"alarm_rate_{rule.channel}": self._rate(
                f"alarm_rate_{rule.channel}", level
            )
            for rule in self.rules
        }
        apart = 1.0 - (1.0 - level) / len(self.rules)
        limits = [self._rate("alarm_rate", apart) for _ in self.rules]
        together = Estimate(
            "alarm_rate",
            None,
            "1",
            self.runs,
            "bound",
            self._speaks_of,
            self._recipe,
            low=max(one.low or 0.0 for one in limits),
            high=min(1.0, sum(one.high or 0.0 for one in limits)),
            level=level,
        )
        return {"alarm_rate": together, **single}

    def _rate(self, name: str, level: float) -> Estimate:
        from scipy.special import betaincinv

        if not 0.0 < level < 1.0:
            raise InvalidInput(f"level {level} is not between 0 and 1, such as 0.95")
        first, tail = self.runs + 1 - self.rank, (1.0 - level) / 2.0
        low, high = (float(betaincinv(first, self.rank, q)) for q in (tail, 1.0 - tail))
        mean = first / (self.runs + 1)
        return Estimate(
            name,
            mean,
            "1",
            self.runs,
            "confidence",
            self._speaks_of,
            self._recipe,
            low,
            high,
            level,
        )

    @property
    def _speaks_of(self) -> str:
        return f"healthy answers of {self.horizon} tokens at most to {self.population}"

    @property
    def _recipe(self) -> Recipe:
        known = {name: value for name, value in self.to_dict().items() if name in _SAID}
        settings = {**self.recipe.settings, **known}
        return Recipe("alarm.rates", settings, self.recipe.sources)

    def to_dict(self) -> dict[str, Any]:
        """JSON values; `from_dict` gives the same alarm to the last bit."""
        rules = [
            {
                "channel": rule.channel,
                **asdict(rule.standard),
                "middle": rule.middle,
                "spread": rule.spread,
                "threshold": rule.threshold,
            }
            for rule in self.rules
        ]
        return {
            "alarm": "conformal",
            "rules": rules,
            "plan": {**asdict(self.plan), "names": list(self.plan.names)},
            "combine": self.combine,
            "alarm_rate": self.alarm_rate,
            "horizon": self.horizon,
            "runs": self.runs,
            "rank": self.rank,
            "population": self.population,
            "settings": dict(self.settings),
            "recipe": self.recipe.to_dict(),
        }

    @staticmethod
    def from_dict(fields: Any) -> ConformalAlarm:
        """The alarm that `to_dict` wrote.

        Raises:
            SchemaError: a field is missing or is not what it should be.
        """
        given = object_of(fields, _FIELDS, "alarms")
        plan = _plan(given["plan"])
        rules = tuple(_rule(one) for one in listed(given["rules"], "rules"))
        horizon, runs, rank = whole(
            [given["horizon"], given["runs"], given["rank"]], "horizon, runs, rank"
        )
        (rate,) = floats([given["alarm_rate"]], "alarm_rate")
        texts([given["population"], given["combine"]], "population and combine")
        names = tuple(rule.channel for rule in rules)
        if names != plan.names or given["combine"] not in ("maximum", "split"):
            raise SchemaError(f"rules for {names}, and channels {plan.names}")
        if horizon < 1 or not 1 <= rank <= runs or not 0 < rate < 1:
            raise SchemaError(
                f"horizon {horizon}, rank {rank} of {runs} runs and rate {rate}: no "
                "such alarm"
            )
        settings = dict(object_of(given["settings"], _SETTINGS, "settings"))
        recipe = Recipe.from_dict(given["recipe"])
        return ConformalAlarm(
            rules,
            plan,
            given["combine"],
            rate,
            horizon,
            runs,
            rank,
            given["population"],
            settings,
            recipe,
        )


_SAID = ("combine", "alarm_rate", "horizon", "runs", "rank", "population", "settings")


class ConformalWatch:
    """The watch over one answer; memory does not grow with it.

    ``alert`` is what set the alarm off, None so far; ``tokens`` how many came;
    ``statistics`` the last value of each channel.
    """

    def __init__(self, alarm: ConformalAlarm, population: str) -> None:
        standards = {rule.channel: rule.standard for rule in alarm.rules}
        self._alarm, self._population = alarm, population
        self._running = Running(alarm.plan, standards)
        self.alert: Alert | None = None
        self.tokens = 0
        self.statistics: list[float] = []

    def update(self, token: TokenStatistics) -> Alert | None:
        """Take the next token; the alert if it sets the alarm off, once an answer."""
        self.tokens += 1
        if self.tokens > self._alarm.horizon:
            return None
        self.statistics = self._running.update(token)
        if self.alert is not None:
            return None
        scaled = [
            (value - rule.middle) / rule.spread
            for value, rule in zip(self.statistics, self._alarm.rules, strict=True)
        ]
        above = [
            (value - rule.threshold, place)
            for place, (value, rule) in enumerate(
                zip(scaled, self._alarm.rules, strict=True)
            )
            if value > rule.threshold
        ]
        if not above:
            return None
        _, place = max(above, key=lambda one: (one[0], -one[1]))
        self.alert = self._alert(place, scaled[place])
        return self.alert

    @property
    def within_horizon(self) -> bool:
        """Whether the last token was watched."""
        return self.tokens <= self._alarm.horizon

    @property
    def smoothed_entropy(self) -> float | None:
        """The weighted mean of the entropy that is watched, nats; None: it is not."""
        for place, rule in enumerate(self._alarm.rules):
            if rule.channel.startswith("entropy"):
                mean = self._running.means[place]
                return rule.standard.centre + rule.standard.scale * mean
        return None

    @property
    def claim(self) -> str:
        """What may be said of this answer, in words."""
        alarm = self._alarm
        if self._population != alarm.population:
            return (
                f"outside the guarantee: prompts are {self._population}, and the alarm "
                f"was fitted on {alarm.population}"
            )
        if self.tokens > alarm.horizon:
            return f"no claim past the horizon of {alarm.horizon} tokens"
        return (
            f"at most {100 * alarm.alarm_rate:g} % of healthy answers set it off "
            f"within {alarm.horizon} tokens ({alarm.population})"
        )

    def _alert(self, place: int, scaled: float) -> Alert:
        rule = self._alarm.rules[place]
        channel = CHANNELS[rule.channel]
        mean, standard = self._running.means[place], rule.standard
        here = standard.centre + standard.scale * mean
        unit = "" if channel.unit == "1" else f" {channel.unit}"
        reason = (
            f"{rule.channel}: {channel.says} than in healthy answers (mean of the last "
            f"tokens {here:.3g}{unit}, usually {standard.centre:.3g}; "
            f"{scaled:.3g} > {rule.threshold:.3g})"
        )
        return Alert(self.tokens - 1, rule.channel, scaled, rule.threshold, reason)


def _rule(fields: Any) -> Rule:
    given = object_of(fields, _RULE, "rules")
    numbers = floats([given[name] for name in _RULE[1:]], "a rule")
    centre, scale, middle, spread, threshold = numbers
    if given["channel"] not in CHANNELS or not spread > 0:
        raise SchemaError(f"channel {given['channel']!r:.40} with spread {spread}")
    return Rule(given["channel"], Standard(centre, scale), middle, spread, threshold)


def _plan(fields: Any) -> ChannelPlan:
    given = object_of(fields, _PLAN, "plans")
    names = texts(listed(given["names"], "names"), "names") or ()
    memory, ngram, window = whole([given[n] for n in _PLAN[1:]], "a plan")
    return ChannelPlan(names, memory, ngram, window)
