"""The four words a plugin answers with when something goes wrong, one reaction each.

Anything else that leaves a plugin is a bug: the hub logs the traceback, sets the
item aside and stays alive.
"""


class TresseError(Exception):
    """Common parent, so that a caller can tell the four words from bugs."""


class ConfigError(TresseError):
    """Someone must change a setting: the instance stops, goes red, one alert is raised.

    `path` names the setting inside the instance's section (``fields.case``), where known.
    """

    def __init__(self, text: str, *, path: str = "") -> None:
        super().__init__(text)
        self.path = path


class AuthError(ConfigError):
    """The far side refuses our credentials: a password, a token, a consent has ended."""


class Unavailable(TresseError):
    """The far side does not answer now: back off and try again.

    `retry_after` is in seconds, where the far side said so. `maybe_done` says that the call had
    left our hands when the answer was lost (a read time-out, a connection cut after DATA): the
    hub then looks before it repeats, or, where the ability is blind, shows "unsure".
    """

    def __init__(self, text: str, *, retry_after: float | None = None, maybe_done: bool = False) -> None:
        super().__init__(text)
        self.retry_after = retry_after
        self.maybe_done = maybe_done


class Rejected(TresseError):
    """This one item will never be accepted: it is set aside for a human, others go on."""
