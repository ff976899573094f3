"""An admin who clicks, and a world where things go wrong: moods, crashes, renumbered mailboxes, clocks."""

from __future__ import annotations

from hub.pipeline.replay import replay_delivery, replay_raw, retry_now, settle_unsure
from tests.sim.life import Life
from tests.sim.moods import KINDS, SIDES
from tests.sim.setting import BLIND


class Admin:
    """Clicks what the pages offer, at any moment."""

    def __init__(self, life: Life) -> None:
        self.life = life

    def click(self) -> None:
        """Something, on something that is there."""
        self.life.dice.choice((self.replay_raws, self.replay, self.replay_all, self.retry, self.retry, self.decide))()

    def replay_raws(self) -> None:
        """Read again what was kept unread."""
        life = self.life
        life.tell("the admin has everything kept read again")
        with life.ill():
            replay_raw(life.hub.store, life.clock.now())

    def _pick(self, *states: str) -> tuple[int, str] | None:
        marks = ",".join("?" * len(states))
        found = self.life.rows(f"select id, key from delivery where state in ({marks}) order by id", *states)
        return self.life.dice.choice(found) if found else None

    def replay(self) -> None:
        """Try one refused delivery again."""
        life = self.life
        if (one := self._pick("rejected", "held")) is not None:
            life.tell(f"the admin replays {one[1]}")
            life.human.add(one[1])
            with life.ill():
                replay_delivery(life.hub.store, life.clock.now(), one[0])

    def replay_all(self) -> None:
        """Try all of them again."""
        life = self.life
        life.tell("the admin replays everything refused")
        life.human |= {key for (key,) in life.rows("select key from delivery where state in ('rejected', 'held')")}
        with life.ill():
            replay_delivery(life.hub.store, life.clock.now())

    def retry(self) -> None:
        """Do not wait with this one."""
        life = self.life
        if (one := self._pick("waiting")) is not None:
            life.tell(f"the admin retries {one[1]} now")
            with life.ill():
                retry_now(life.hub.store, life.clock.now(), one[0])

    def decide(self) -> None:
        """Look in the mailbox and say what became of an unsure one."""
        life = self.life
        if (one := self._pick("unsure")) is None:
            return
        number, key = one
        life.seen()
        sent = any(e.key == key for e in life.far.effects)
        life.tell(f"the admin says of {key}: {'it went out' if sent else 'send it'}")
        if not sent:  # counted before: the process may die after the commit
            life.resent[key] = life.resent.get(key, 0) + 1
        with life.ill():
            settle_unsure(life.hub.store, life.clock.now(), number, sent=sent)


class Fate:
    """Things that happen to everybody."""

    def __init__(self, life: Life) -> None:
        self.life = life

    def mood(self) -> None:
        """A far side falls into a mood."""
        life = self.life
        side, kind = life.dice.choice(SIDES), life.dice.choice(list(KINDS))
        seconds = life.dice.choice((3.0, 15.0, 60.0, 600.0))
        life.tell(f"{side} is {kind} for {seconds:g} s")
        life.far.moods.set(side, kind, seconds)

    def crash(self) -> None:
        """The process will die soon."""
        life = self.life
        if life.points.at is None:
            life.points.at = life.points.passed + life.dice.randint(1, 40)

    def renumber(self) -> None:
        """A mailbox is restored by its server: every mail has another number (UIDVALIDITY)."""
        life = self.life
        box = life.dice.choice((*BLIND, "box"))
        life.tell(f"{box} is numbered anew")
        life.far.boxes[box].validity += 1

    def disk(self) -> None:
        """The disk is full for a while, or well again."""
        life = self.life
        life.disk_trouble = life.dice.choice((0.0, 0.0, 0.3))

    def set_clock(self) -> None:
        """Somebody sets the hub's clock back."""
        life = self.life
        back = life.dice.choice((0.5, 5.0, 90.0))
        life.tell(f"the clock is set back by {back:g} s")
        life.clock.wrong -= back

    def wait(self) -> None:
        """Time passes: mostly little."""
        life = self.life
        chance = life.dice.random()
        if chance < 0.80:
            seconds = life.dice.uniform(0.1, 4.0)
        elif chance < 0.97:
            seconds = life.dice.uniform(5.0, 120.0)
        else:
            seconds = life.dice.choice((1800.0, 7200.0, 86400.0))
            life.tell(f"{seconds:g} s pass")
        life.clock.pass_(seconds)
