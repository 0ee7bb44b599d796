"""A file is written whole or not at all."""

import pytest

import bayescale as bs
from bayescale.files import replacing


def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")

    def write():
        with replacing(path) as part:
            part.write_text("ne")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_success_replaces_it_and_keeps_the_ending_for_the_writer(tmp_path):
    path = tmp_path / "picture.png"
    path.write_text("old")
    with replacing(path) as part:
        assert part.suffix == ".png"
        part.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_refused_before(tmp_path):
    with pytest.raises(bs.InputError, match="make it first"), replacing(tmp_path / "no" / "a.csv"):
        pass
    with pytest.raises(bs.InputError, match="it is a folder"), replacing(tmp_path):
        pass
