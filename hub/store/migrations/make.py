"""Write the next migration from what the tables say: ``python -m hub.store.migrations.make "what changed"``.

Read it before you commit it: Alembic guesses, and knows nothing of the rows.
"""

import sys
import tempfile
from pathlib import Path

from alembic import command

from hub.store import migrate as migrating
from hub.store.session import Store


def main(text: str) -> None:
    """Compare an up-to-date empty database with the tables and write the difference."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder) / 'empty.db'}")
        migrating.migrate(store)
        settings = migrating._settings()  # noqa: SLF001 - the same settings, for the same folder
        versions = Path(__file__).parent / "versions"
        number = len(list(versions.glob("0*.py"))) + 1
        with store.write() as connection:
            settings.attributes["connection"] = connection
            command.revision(settings, message=text, autogenerate=True, rev_id=f"{number:04}")
        store.close()


if __name__ == "__main__":
    main(sys.argv[1])
