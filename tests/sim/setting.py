"""What every simulation begins with: a configuration, a knowledge base and a migrated database."""

from __future__ import annotations

import random
import tempfile
from functools import cache
from pathlib import Path

from hub.app import open_hub
from hub.config import load
from hub.registry import Registry
from tests.sim.crash import Points
from tests.sim.far import Far
from tests.sim.parts import CLASSES, Here
from tests.sim.threads import SimClock

SHM = Path("/dev/shm")
BLIND = ("support", "contact")
"""The instances whose sending cannot be looked for."""
CONFIG = """
[hub]
data = "{data}"
languages = ["fr", "en"]
[answers]
file = "{answers}"
[acknowledge]
per_sender_day = 2
per_day = 9
[channels.support]
use = "post"
timeout = "10s"
[channels.contact]
use = "post"
timeout = "10s"
[channels.box]
use = "box"
timeout = "10s"
[channels.door]
use = "door"
[crm.desk]
use = "desk"
timeout = "10s"
[crm.helpdesk]
use = "helpdesk"
timeout = "10s"
[crm.files]
use = "files"
[matchers.words]
use = "words"
"""
ANSWERS = """ref,title,language,text,phrasings
retard,Où est ma commande ?,fr,"Votre commande est en route, elle arrive sous trois jours ouvrés.",Je n'ai rien reçu
retour,Comment retourner un article ?,fr,"Renvoyez votre article sous trente jours avec le bon de retour.",
"""


@cache
def template() -> Path:
    """A migrated database with its answers, made once a process and copied for each seed."""
    folder = Path(tempfile.mkdtemp(prefix="sim", dir=SHM if SHM.is_dir() else None))
    (folder / "answers.csv").write_text(ANSWERS, "utf-8")
    file = folder / "hub.toml"
    file.write_text(CONFIG.format(data=folder / "var", answers=folder / "answers.csv"), "utf-8")
    Here.far = Far(random.Random(0), Points(), lambda: 0.0)
    clock = SimClock()
    open_hub(load(file), registry=Registry(_components=CLASSES), clock=clock, rng=random.Random(0)).stop()
    return folder
