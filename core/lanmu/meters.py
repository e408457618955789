"""The numbers that `/metrics` shows: counted where things happen, in one registry for each server."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Meters:
    """One server's counters. Labels are routes, states and channels, never people."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "lanmu_requests", "Requests answered", ["endpoint", "method", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "lanmu_request_seconds", "How long a request took", ["endpoint"], registry=self.registry
        )
        self.units_sent = Counter(
            "lanmu_units", "Units that reached a state", ["channel", "state"], registry=self.registry
        )
        self.gate_answers = Counter(
            "lanmu_gate_answers",
            "Answers of the last door, other than to send",
            ["door", "code"],
            registry=self.registry,
        )
        self._waiting = Gauge("lanmu_units_now", "Units by state", ["state"], registry=self.registry)
        self._stopped = Gauge(
            "lanmu_sending_stopped",
            "1 while nothing is sent: the installation is frozen, or its clock is doubted",
            ["why"],
            registry=self.registry,
        )
        self._plugins = Gauge("lanmu_plugins", "Plugins by state", ["state"], registry=self.registry)

    def show(self, units: Mapping[str, int], plugins: Mapping[str, int], stopped: str = "") -> None:
        """Set the gauges to what the database and the plugins say now; `stopped` is why nothing is sent."""
        for why in ("frozen", "clock_suspect"):
            self._stopped.labels(why).set(int(why == stopped))
        for gauge, counted in ((self._waiting, units), (self._plugins, plugins)):
            gauge.clear()
            for state, count in counted.items():
                gauge.labels(state).set(count)
