"""A file is written whole or not at all."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bayescale as bs
from bayescale.common.files import is_intact, replacing, sealed


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


def test_a_link_is_followed_and_permissions_are_kept(tmp_path):
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_text("old")
    real.chmod(0o600)
    link.symlink_to(real)
    with replacing(link) as part:
        part.write_text("new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with (
        pytest.raises(bs.InputError, match="it is a device or a pipe"),
        replacing(tmp_path / "pipe"),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@given(st.binary(max_size=200), st.data())
def test_a_seal_notices_every_change_before_it(tmp_path_factory, content, data):
    path = tmp_path_factory.mktemp("sealed") / "file"
    whole = sealed(content)
    path.write_bytes(whole)
    assert is_intact(path)
    if content:
        changed = bytearray(whole)
        changed[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(changed)
        assert not is_intact(path)
    path.write_bytes(b"x" + whole)
    assert not is_intact(path)
    path.write_bytes(content)
    assert is_intact(path)
