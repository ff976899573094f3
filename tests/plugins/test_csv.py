"""plugins/crm/csv: what it finds, what it refuses, and what it keeps when a file goes bad."""

from __future__ import annotations

import contextlib
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import plugins.crm.csv as plugin
from hub.sdk import ConfigError, Identity, Unavailable, abilities_of
from hub.testing import ComponentContract, FakeClock, KnowsCustomersContract, KnowsOrdersContract
from plugins.crm.csv.crm import CsvCRM
from plugins.crm.csv.orders import read_date
from plugins.crm.csv.settings import CsvSettings
from plugins.crm.csv.table import Table, Unreadable, decode, parse
from tests.plugins.lent import lend, logged


class TestContract(ComponentContract, KnowsCustomersContract, KnowsOrdersContract):
    component = CsvCRM

    def begin(self) -> None:
        (self.folder / "customers.csv").write_text(CUSTOMERS, "utf-8")
        (self.folder / "orders.csv").write_text(ORDERS, "utf-8")

    def known_customer(self) -> Identity:
        return Identity("email", "alice@customer.example")

    def known_order(self) -> str:
        return "CMD-2026-0042"


CUSTOMERS = """id;name;email;phone;segment;language;Ville
12;Alice Martin;Alice@Customer.Example;06 12 34 56 78;gold;fr;Lyon
13;Bob O'Hara;bob@customer.example bob@work.example;+44 20 7946 0018;;en-GB;
14;Alice M.;alice@customer.example;;silver;;Nice
"""
ORDERS = """number,customer,email,state,placed_at,Colis
CMD-2026-0042,12,,shipped,2026-02-20T10:00:00+01:00,6A123
CMD-2026-0043,,Bob@customer.example,paid,21/02/2026,
CMD-2026-0044,12,,paid,,
CMD-2026-0044,13,,paid,,
CMD-2026-0045,13,,paid,,art. 1
CMD-2026-0045,13,,paid,,art. 2
CMD-2026-0046,99,,paid,,
"""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))  # files' times are the real ones


def make(folder: Path, clock: FakeClock, **settings: object) -> CsvCRM:
    for name, content in (("customers.csv", CUSTOMERS), ("orders.csv", ORDERS)):
        if not (folder / name).exists():
            (folder / name).write_text(content, "utf-8")
    values = {"customers": folder / "customers.csv", "orders": folder / "orders.csv"} | settings
    return CsvCRM(CsvSettings(**values), lend(id="shop", now=clock))


def rewrite(path: Path, text: str, clock: FakeClock, age: float = 60) -> None:
    """Write a file that was last changed `age` seconds ago, by the test's clock."""
    path.write_text(text, "utf-8")
    at = clock().timestamp() - age
    os.utime(path, (at, at))


def emails(*values: str) -> set[Identity]:
    return {Identity("email", v) for v in values}


# -- what it finds --------------------------------------------------------------------------


def test_offers_one_component_with_two_abilities() -> None:
    (component,) = plugin.hub_components()
    assert component is CsvCRM
    assert abilities_of(component) == ["KnowsCustomers", "KnowsOrders"]


def test_finds_by_email_and_lists_several_without_joining(tmp_path: Path, clock: FakeClock) -> None:
    found = make(tmp_path, clock).find_customers(Identity("email", "ALICE@customer.example"))
    assert [p.remote_id for p in found] == ["12", "14"]
    assert found[0].identities == (Identity("email", "alice@customer.example"), Identity("phone", "+33612345678"))
    assert (found[0].name, found[0].segment, found[0].language) == ("Alice Martin", "gold", "fr")
    assert found[0].facts == {"Ville": "Lyon"}


@pytest.mark.parametrize(
    ("identity", "ids"),
    [
        (Identity("phone", "+33612345678"), ["12"]),
        (Identity("phone", "0612345678"), ["12"]),
        (Identity("phone", "+442079460018"), ["13"]),
        (Identity("phone", "+33712345678"), []),  # the same last digits, another number
        (Identity("phone", "101"), []),
        (Identity("email", "bob@work.example"), ["13"]),
        (Identity("crm", "13"), ["13"]),
        (Identity("crm", "shop:13"), ["13"]),
        (Identity("crm", "other:13"), []),
        (Identity("handle", "bob"), []),
    ],
)
def test_finds_by_each_kind_of_address(tmp_path: Path, clock: FakeClock, identity: Identity, ids: list[str]) -> None:
    assert [p.remote_id for p in make(tmp_path, clock).find_customers(identity)] == ids


def test_order_belongs_to_its_customer(tmp_path: Path, clock: FakeClock) -> None:
    order = make(tmp_path, clock, order_url="https://shop.example/o/{number}").find_order("cmd-2026-0042")
    assert order is not None
    assert (order.number, order.state) == ("CMD-2026-0042", "shipped")
    assert order.placed_at == datetime(2026, 2, 20, 9, 0, tzinfo=UTC)
    assert set(order.owners) == emails("alice@customer.example") | {
        Identity("crm", "shop:12"),
        Identity("phone", "+33612345678"),
    }
    assert order.facts == {"Colis": "6A123"}
    assert order.url == "https://shop.example/o/CMD-2026-0042"


def test_order_belongs_to_its_email(tmp_path: Path, clock: FakeClock) -> None:
    order = make(tmp_path, clock).find_order("CMD-2026-0043")
    assert order is not None
    assert set(order.owners) == emails("bob@customer.example")
    assert order.placed_at == datetime(2026, 2, 21, tzinfo=UTC)


def test_contradicting_buyers_own_nothing_but_articles_do_not_contradict(tmp_path: Path, clock: FakeClock) -> None:
    crm = make(tmp_path, clock)
    torn, articles = crm.find_order("CMD-2026-0044"), crm.find_order("CMD-2026-0045")
    assert torn is not None
    assert torn.owners == ()
    assert articles is not None
    assert emails("bob@customer.example") <= set(articles.owners)


def test_every_profile_has_a_name_of_its_own(tmp_path: Path, clock: FakeClock) -> None:
    rows = [",a@x.example,1", ",a@x.example,2", ",b@x.example,", ",b@x.example,", "7,c@x.example,1", "7,c@x.example,2"]
    (tmp_path / "customers.csv").write_text("\n".join(["id,email,note", *rows]))
    crm = make(tmp_path, clock)

    def ids(email: str) -> list[str]:
        return [p.remote_id for p in crm.find_customers(Identity("email", email))]

    assert ids("a@x.example") == ["a@x.example (line 2)", "a@x.example (line 3)"]
    assert ids("b@x.example") == ["b@x.example"]  # an exact repetition
    assert ids("c@x.example") == ["7 (line 6)", "7 (line 7)"]


def test_two_rows_with_one_id_prove_no_address(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "customers.csv").write_text("id,email\n12,alice@a.example\n12,mallory@m.example\n")
    order = make(tmp_path, clock).find_order("CMD-2026-0042")
    assert order is not None
    assert order.owners == (Identity("crm", "shop:12"),)


def test_unknown_order_and_missing_files_are_nothing(tmp_path: Path, clock: FakeClock) -> None:
    assert make(tmp_path, clock).find_order("CMD-1") is None
    assert make(tmp_path, clock, orders=None).find_order("CMD-2026-0042") is None
    assert make(tmp_path, clock, customers=None).find_customers(Identity("email", "alice@customer.example")) == []


def test_other_titles_are_mapped(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "customers.csv").write_text("N° client,Adresse e-mail,Nom\n7,zoe@x.example,Zoé\n", "utf-8")
    crm = make(tmp_path, clock, customer_columns={"id": "N° client", "email": "adresse_email", "name": "nom"})
    (found,) = crm.find_customers(Identity("email", "zoe@x.example"))
    assert (found.remote_id, found.name, found.facts) == ("7", "Zoé", {})


# -- what check says ------------------------------------------------------------------------


def test_check_names_doubles_and_strangers_without_values(tmp_path: Path, clock: FakeClock) -> None:
    texts = [n.text for n in make(tmp_path, clock).check()]
    assert any('column "email": 1 values stand in several rows (the first in lines 2 and 4)' in t for t in texts)
    assert any("1 order numbers have rows with different buyers (the first in lines 4 and 5)" in t for t in texts)
    assert "orders.csv: 1 buyers have no row in customers.csv" in texts
    assert not any("alice" in t.lower() or "CMD-" in t for t in texts)


def test_check_is_content_with_good_files(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "customers.csv").write_text("id,email\n1,a@b.example\n")
    (tmp_path / "orders.csv").write_text("number,customer\nA1,1\n")
    assert make(tmp_path, clock).check() == []


def test_check_names_file_line_and_column(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "customers.csv").write_text("id,email,phone\n1,nonsense,\n2,,12\n3,a@b.example,,surplus\n")
    (tmp_path / "orders.csv").write_text("number,placed_at\n,2026-01-01\nA1,soon\n")
    texts = [n.text for n in make(tmp_path, clock).check()]
    assert texts[:3] == [
        "customers.csv, line 4: 4 cells under 3 columns; the row is left out",
        'customers.csv, line 2, column "email": not an e-mail address',
        'customers.csv, line 3, column "phone": not a phone number',
    ]
    assert any(t.startswith('orders.csv, line 2, column "number"') for t in texts)
    assert any(t.startswith('orders.csv, line 3, column "placed_at"') for t in texts)


def test_check_counts_what_it_does_not_tell(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "customers.csv").write_text("email\n" + "nonsense\n" * 9)
    assert "... and 4 more of this kind" in [n.text for n in make(tmp_path, clock).check()]


@pytest.mark.parametrize(
    ("customers", "settings", "refusal"),
    [
        (None, {}, ("customers", "No such file")),
        ("", {}, ("customers", "is empty")),
        ("a,b\n1,2\n", {}, ("customer_columns.email", 'no column "email"')),
        ("id,E-Mai\n1,2\n", {"customer_columns": {"email": "E-Mail"}}, ("customer_columns.email", 'mean "E-Mai"')),
        ('id,email\n1,"a\n', {}, ("customers", "from line 2")),
        ("id,email\n1,a@b.example\n2", {}, ("customers", "line 3: the last row is cut off")),
        ("PK\x03\x04zip", {}, ("customers", "Excel workbook")),
    ],
)
def test_check_refuses(
    tmp_path: Path, clock: FakeClock, customers: str | None, settings: dict[str, object], refusal: tuple[str, str]
) -> None:
    path, words = refusal
    crm = make(tmp_path, clock, **settings)
    file = tmp_path / "customers.csv"
    file.unlink() if customers is None else file.write_text(customers)
    with pytest.raises(ConfigError, match=words) as error:
        crm.check()
    assert error.value.path == path


def test_orders_need_a_number(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "orders.csv").write_text("nummer,state\nA1,paid\n")
    with pytest.raises(ConfigError, match='did you mean "nummer"') as error:
        make(tmp_path, clock).check()
    assert error.value.path == "order_columns.number"


def test_look_ups_wait_for_a_first_good_file_and_heal(tmp_path: Path, clock: FakeClock) -> None:
    crm = make(tmp_path, clock, customers=tmp_path / "later.csv")
    with pytest.raises(Unavailable, match=r"later\.csv"):
        crm.find_customers(Identity("crm", "12"))
    (tmp_path / "later.csv").write_text(CUSTOMERS)
    assert len(crm.find_customers(Identity("crm", "12"))) == 1


def test_settings_want_a_file_and_one_character() -> None:
    with pytest.raises(ValidationError, match="name a file"):
        CsvSettings()
    with pytest.raises(ValidationError, match="write one character"):
        CsvSettings(customers=Path("c.csv"), separator=";;")


# -- files that change ------------------------------------------------------------------------


def test_a_changed_file_is_read_again_after_a_look(tmp_path: Path, clock: FakeClock) -> None:
    crm = make(tmp_path, clock)
    assert crm.find_customers(Identity("crm", "20")) == []
    rewrite(tmp_path / "customers.csv", CUSTOMERS + "20;New;new@x.example;;;;\n", clock)
    assert crm.find_customers(Identity("crm", "20")) == []  # not yet time to look
    clock.move(6)
    assert len(crm.find_customers(Identity("crm", "20"))) == 1


def test_a_file_that_just_changed_is_left_alone_until_it_is_quiet(tmp_path: Path, clock: FakeClock) -> None:
    crm = make(tmp_path, clock, look_every="1s", quiet="30s")
    crm.find_customers(Identity("crm", "20"))
    clock.move(2)
    rewrite(tmp_path / "customers.csv", CUSTOMERS + "20;New;new@x.example;;;;\n", clock, age=0)
    assert crm.find_customers(Identity("crm", "20")) == []
    clock.move(2)
    assert len(crm.find_customers(Identity("crm", "20"))) == 1  # unchanged since the last look


@pytest.mark.parametrize("broken", ["", 'id;email\n1;"open', "id;email\n1", "x;y\n1;2\n", None])
def test_a_broken_file_keeps_the_last_good_content_and_warns_once(
    tmp_path: Path, clock: FakeClock, broken: str | None
) -> None:
    crm = make(tmp_path, clock)
    assert crm.find_customers(Identity("crm", "12"))
    file = tmp_path / "customers.csv"
    file.unlink() if broken is None else rewrite(file, broken, clock)
    for _ in range(3):
        clock.move(60)
        assert crm.find_customers(Identity("crm", "12"))
    assert len(logged(crm, "warning")) == 1
    rewrite(file, "id;email\n12;whole@again.example\n", clock)
    clock.move(60)
    assert crm.find_customers(Identity("crm", "12"))[0].identities == (Identity("email", "whole@again.example"),)
    assert len(logged(crm, "warning")) == 1


def test_readers_go_on_while_one_reads_the_new_file(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    crm = make(tmp_path, clock)
    assert crm.find_customers(Identity("crm", "12"))
    rewrite(tmp_path / "customers.csv", "id;email\n99;n@x.example\n", clock)
    clock.move(60)
    started, go = threading.Event(), threading.Event()
    make_customers = crm._make_customers

    def slow(table: Table) -> object:
        started.set()
        assert go.wait(5)
        return make_customers(table)

    assert crm._customers is not None
    monkeypatch.setattr(crm._customers, "_make", slow)
    reader = threading.Thread(target=crm.find_customers, args=(Identity("crm", "99"),))
    reader.start()
    assert started.wait(5)
    assert crm.find_customers(Identity("crm", "12"))  # neither blocked nor half-swapped
    go.set()
    reader.join(5)
    assert crm.find_customers(Identity("crm", "12")) == []
    assert crm.find_customers(Identity("crm", "99"))


# -- bytes and cells --------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_encodings_of_spreadsheets(encoding: str) -> None:
    assert decode("prénom;é€\n".encode(encoding)) == "prénom;é€\n"


def test_a_file_with_two_encodings_is_repaired_by_line() -> None:
    assert decode("é\n".encode() + "è\n".encode("cp1252")) == "é\nè\n"


@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
def test_separator_is_found(separator: str) -> None:
    table = parse("f", separator.join(["id", '"a,b;c|d"', "x"]) + "\n" + separator.join("123") + "\n")
    assert table.header == ("id", "a,b;c|d", "x")
    assert table.rows == [["1", "2", "3"]]


def test_excels_hint_quotes_and_blank_lines_keep_line_numbers() -> None:
    table = parse("f", 'sep=;\r\nid;text\r\n1;"two\r\nlines"\r\n\r\n;;\r\n2\r\n')
    assert table.rows == [["1", "two\r\nlines"], ["2", ""]]
    assert table.lines == [3, 7]


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=3, max_size=3), max_size=8))
def test_what_a_csv_writer_wrote_is_read_back(rows: list[list[str]]) -> None:
    import csv
    import io

    out = io.StringIO(newline="")
    csv.writer(out, delimiter=";").writerows([["a", "b", "c"], *rows])
    assert parse("f", out.getvalue(), ";").rows == [row for row in rows if any(row)]


@given(st.binary(max_size=300))
def test_junk_is_a_table_or_unreadable(junk: bytes) -> None:
    with contextlib.suppress(Unreadable):  # nothing else may come out
        table = parse("f", decode(junk))
        assert all(len(row) == len(table.header) for row in table.rows)


@pytest.mark.parametrize(
    ("written", "date_format", "expected"),
    [
        ("2026-03-01", "", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T12:00:00Z", "", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("1/3/2026 14h05", "", datetime(2026, 3, 1, 14, 5, tzinfo=UTC)),
        ("03/01/2026", "%m/%d/%Y", datetime(2026, 3, 1, tzinfo=UTC)),
        ("31/02/2026", "", None),
        ("soon", "", None),
    ],
)
def test_dates(written: str, date_format: str, expected: datetime | None) -> None:
    assert read_date(written, date_format) == expected
