"""The writing statements compile for both databases, and say the same."""

import pytest
from sqlalchemy.dialects import postgresql, sqlite

from tapewatch.store.statements import Statements


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()], ids=lambda dialect: dialect.name)
def test_every_statement_compiles(dialect) -> None:
    texts = {
        name: str(statement.compile(dialect=dialect)) for name, statement in vars(Statements(dialect.name)).items()
    }
    assert texts["changes"].endswith("ON CONFLICT (venue, symbol, ordinal) DO NOTHING")
    for name in set(texts) - {"changes"}:
        assert "DO UPDATE SET" in texts[name], name
    assert "CASE WHEN (excluded.open_id < bars.open_id) THEN excluded.open ELSE bars.open END" in texts["bars"]
    assert "volume = (bars.volume + excluded.volume)" in texts["bars"]
