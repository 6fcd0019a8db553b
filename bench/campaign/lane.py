"""The trials of one device, one after the other, whatever goes wrong: what `bench.campaign.faults` decides is done
here."""

from __future__ import annotations

import math
import os
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from bench.campaign import faults
from bench.campaign.course import Course
from bench.campaign.faults import Action, Past
from bench.campaign.health import Health
from bench.devices import presence
from bench.errors import BenchError, DeviceOffline, DeviceRefused, HostFull, TransportBroken
from bench.measure import station, trial
from bench.measure.station import Station
from bench.measure.trial import Outcome
from bench.records import ArtifactFile, Trial
from bench.results.folder import now


class Patience(NamedTuple):
    """Seconds: how long a device may be gone in a trial; how often one that is set aside is asked; and how long it is
    asked when nothing else is left to do."""

    comes_back_s: float = 180.0
    probe_every_s: float = 30.0
    set_aside_s: float = 300.0

    @classmethod
    def asked_for(cls) -> Patience:
        """By FR_BENCH_PATIENCE, the seconds that a device may be gone in a trial; 180 where that is no number. All
        times follow it."""
        try:
            seconds = float(os.environ.get("FR_BENCH_PATIENCE", ""))
        except ValueError:
            return cls()
        part = min(max(seconds, 0.0), 86_400.0) / 180 if math.isfinite(seconds) else 1.0
        return cls(180 * part, max(0.3, 30 * part), 300 * part)


class Stopped(Exception):
    """The run is being stopped, and the trial was not begun."""


class Lane:
    """A device and its trials, taken one by one with `step` until `done`: that is when all have ended, or after the
    trial at work when `stopping` is set. One that goes wrong then has not ended: a resumed run does it again.

    `attempt` does a trial or raises; `files` are those that the device needs; `say` is told in one sentence of what
    happens beside the trials. `notes` keeps what the reader of the run has to know.
    """

    def __init__(
        self, machine: Station, course: Course, attempt: Callable[[Trial], Outcome],
        files: Callable[[], list[ArtifactFile]], say: Callable[[str], None], log: Any, health: Health,
        patience: Patience, stopping: threading.Event,
    ) -> None:  # fmt: skip
        self.machine = machine
        self.notes: list[str] = []
        self._course = course
        self._stopping = stopping
        self._now = course.next()
        self._attempt = attempt
        self._files = files
        self._say = say
        self._log = log
        self._health = health
        self._patience = patience
        self._ended = 0
        self._set_aside: list[str] = []
        """Why it was set aside, each time."""
        self._failures: Counter[str] = Counter()
        """Failed trials by kind of error."""
        self._requeued: Counter[str] = Counter()
        self._alike: Counter[tuple[object, ...]] = Counter()
        self._lost = 0
        self._boot: str | None = None
        self._aside_since: float | None = None
        self._probe_at = 0.0
        self._given_up = ""
        if machine.unready and not self.done:
            self._put_aside(machine.unready)

    @property
    def done(self) -> bool:
        return self._now is None or self._stopping.is_set()

    @property
    def at_work(self) -> bool:
        """Whether it has trials that it can do now."""
        return not self.done and self._aside_since is None

    def step(self, others_at_work: bool = False) -> Outcome | None:
        """Do the next trial; or, while the device is set aside, wait for the time of a probe and ask it. None where no
        trial ended.

        A device that does not come back is given up only when no others are at work: then its trials fail. Raises
        HostFull.
        """
        if self._aside_since is not None and not self._probe(others_at_work):
            return None
        assert self._now is not None
        one = self._course.begun(self._now)
        if self._given_up:
            outcome: Outcome | None = self._failed(one, self._given_up, "DeviceOffline", now(), 0.0)
        else:
            self._remember_boot()
            outcome = self._do(one)
        if outcome is not None:
            self._ended += 1
            self._course.tell(outcome.measurement)
        elif self._aside_since is None:
            self._course.put_off(one)
        if self._aside_since is None:
            self._now = self._course.next()
        return outcome

    def remember(self, run: str) -> None:
        """Add how the trials of a run went to what is known of the device."""
        aside = self._aside_since is not None or bool(self._given_up)
        self._health.run(self.machine.device.serial, run, self._ended, self._failures, aside=aside)

    def _do(self, one: Trial) -> Outcome | None:
        """One trial to its end; None where it has to be done later."""
        started, begun = now(), time.monotonic()
        subject = (one.pass_, one.subject)
        past = Past(tries=0, requeued=self._requeued[one.id], lost=self._lost)
        while not self._stopping.is_set():
            past = past._replace(tries=past.tries + 1)
            try:
                outcome = self._attempt(one)
                self._lost = 0
                return outcome
            except Stopped:
                break
            except Exception as caught:
                error: Exception = caught
            action = faults.after(error, past._replace(alike=self._alike[*subject, type(error)]))
            self._record(one, error, action)
            if self._stopping.is_set() and action is not Action.STOP:
                break
            if action is Action.MEND:
                past = past._replace(mended=True)
                action, error = self._mended(error, past)
                if action is Action.RETRY and past.tries < faults.TRIES:
                    past = past._replace(mended=False)  # what goes wrong next may be another file's
            if action is Action.RETRY:
                action, error = self._awaited(error)
            if self._stopping.is_set() and action is not Action.STOP:
                break
            if action is Action.QUARANTINE and not self.machine.is_phone:
                action = Action.FAIL
            match action:
                case Action.RETRY:
                    continue
                case Action.STOP:
                    raise error if isinstance(error, HostFull) else HostFull.at("the run's files") from error
                case Action.QUARANTINE:
                    self._put_aside(faults.reason(error))
                    return None
                case _:
                    self._lost += faults.is_devices(error)
                    self._alike[*subject, type(error)] += 1
                    if action is Action.REQUEUE:
                        self._requeued[one.id] += 1
                        return None
                    wall_s = time.monotonic() - begun
                    return self._failed(one, faults.reason(error), type(error).__name__, started, wall_s)
        return None

    def _mended(self, error: Exception, past: Past) -> tuple[Action, Exception]:
        """Bring what the device lost or changed; what to do now, and for which error."""
        try:
            if station.mend(self.machine, self._files(), self._tell):
                return Action.RETRY, error
        except (DeviceOffline, TransportBroken) as gone:
            return Action.RETRY, gone
        except DeviceRefused as worse:
            return Action.FAIL, type(error)(f"{faults.reason(error)}; {worse.what}")
        except Exception as worse:
            return faults.after(worse, past), worse
        return faults.after(error, past), error

    def _awaited(self, error: Exception) -> tuple[Action, Exception]:
        """Wait for the device and bring what it lost meanwhile; what to do now, and for which error."""
        try:
            if self.machine.is_phone:
                found = presence.wait(
                    self.machine.transport, self._patience.comes_back_s, self._say, self._stopping.wait
                )
                self._check_boot(found.boot)
                station.sweep(self.machine)
                station.mend(self.machine, self._files(), self._tell)
        except BenchError as worse:
            return Action.QUARANTINE if faults.is_devices(worse) else Action.FAIL, worse
        except Exception as worse:
            return faults.after(worse, Past()), worse
        return Action.RETRY, error

    def _remember_boot(self) -> None:
        if self._boot is None and self.machine.is_phone:
            try:
                self._boot = presence.ask(self.machine.transport).boot
            except BenchError:
                self._boot = ""

    def _check_boot(self, boot: str) -> None:
        if boot and self._boot and boot != self._boot:
            self._tell(f"{self.machine.device.serial} restarted during the run")
            self.machine.checked = float("-inf")
        self._boot = boot or self._boot

    def _put_aside(self, reason: str) -> None:
        serial = self.machine.device.serial
        self._set_aside.append(reason)
        self._lost = 0
        if len(self._set_aside) > faults.SET_ASIDE:
            self._give_up(f"{serial} was given up after it had been set aside {faults.SET_ASIDE} times: {reason}")
            return
        self._aside_since = time.monotonic()
        self._probe_at = self._aside_since + self._patience.probe_every_s
        self._health.set_aside(serial, reason)
        self._tell(f"{serial} was set aside: {reason}")

    def _give_up(self, sentence: str) -> None:
        self._given_up = sentence
        self._aside_since = None
        self._tell(sentence)

    def _probe(self, others_at_work: bool) -> bool:
        """Ask a device that is set aside whether it can go on; whether there is something to do now."""
        since = self._aside_since or time.monotonic()
        serial, transport = self.machine.device.serial, self.machine.transport
        if self._stopping.wait(max(0.0, self._probe_at - time.monotonic())):
            return False
        try:
            found = presence.ask(transport)
            if found.ready:
                station.sweep(self.machine)
                station.mend(self.machine, self._files(), self._tell)
                self._check_boot(found.boot)
                self._aside_since = None
                self._health.back(serial)
                self._tell(f"{serial} is back")
                return True
        except BenchError as error:
            self._log.info("probe", device=serial, reason=error.what)
            transport.revive()
        asked_s = time.monotonic() - since
        if asked_s >= self._patience.set_aside_s and not others_at_work:
            self._give_up(f"{serial} was set aside and did not come back within {asked_s:.0f} s: {self._set_aside[-1]}")
            return True
        self._probe_at = time.monotonic() + self._patience.probe_every_s
        return False

    def _failed(self, one: Trial, reason: str, fault: str, started: str, wall_s: float) -> Outcome:
        self._failures[fault] += 1
        return trial.failed(one, self.machine, reason=reason, fault=fault, started=started, wall_s=wall_s)

    def _record(self, one: Trial, error: Exception, action: Action) -> None:
        more = {} if isinstance(error, BenchError) else {"traceback": "".join(traceback.format_exception(error))}
        self._log.warning("fault", trial=one.id, kind=type(error).__name__, reason=faults.reason(error),
                          action=action.value, **more)  # fmt: skip

    def _tell(self, sentence: str) -> None:
        self.notes.append(sentence)
        self._log.warning("device", reason=sentence)
        self._say(sentence)
