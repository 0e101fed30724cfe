"""The work folder: nothing half done is ever in the place of a result."""

from pathlib import Path

import pytest

from schematune.schemas.errors import TuneError
from schematune.trainer.folder import check_out, work_in


def _finish(out: Path, text: str, digest: str = "d") -> None:
    with work_in(out, digest) as work:
        (work.result / "schematune.json").write_text(text, encoding="utf-8")
        work.land()


def _read(out: Path) -> str:
    return (out / "schematune.json").read_text(encoding="utf-8")


def test_the_result_lands_whole_and_replaces_the_older_one(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "adapter"
    _finish(out, "one")
    with work_in(out, "d") as work:
        (work.result / "schematune.json").write_text("two", encoding="utf-8")
        assert _read(out) == "one"
        work.land()
    assert _read(out) == "two"
    assert [path.name for path in out.parent.iterdir()] == ["adapter"]


def test_checkpoints_stay_and_the_unfinished_result_goes(tmp_path: Path) -> None:
    out, said = tmp_path / "adapter", list[str]()
    with pytest.raises(KeyboardInterrupt), work_in(out, "d") as work:
        (work.partial / "checkpoint-3").mkdir()
        raise KeyboardInterrupt
    assert not out.exists() and not work.result.exists()
    with pytest.raises(RuntimeError), work_in(out, "d", say=said.append) as work:
        assert (work.partial / "checkpoint-3").exists() and said == []
        raise RuntimeError
    with pytest.raises(RuntimeError), work_in(out, "other", say=said.append) as work:
        assert not (work.partial / "checkpoint-3").exists()
        raise RuntimeError
    assert len(said) == 1 and "were others" in said[0]
    assert list(tmp_path.iterdir()) == []


def test_resume_false_starts_anew(tmp_path: Path) -> None:
    out, said = tmp_path / "adapter", list[str]()
    with pytest.raises(RuntimeError), work_in(out, "d") as work:
        (work.partial / "checkpoint-3").mkdir()
        raise RuntimeError
    with work_in(out, "d", resume=False, say=said.append) as work:
        assert not (work.partial / "checkpoint-3").exists()
        work.land()
    assert "resume=False" in said[0]


def test_foreign_folders_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work", encoding="utf-8")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TuneError, match="thesis: it holds files that schematune did not write"):
        check_out(tmp_path / "thesis")
    with pytest.raises(TuneError, match="file: it is a file"):
        check_out(tmp_path / "file")
    _finish(tmp_path / "empty", "one")
    assert _read(tmp_path / "empty") == "one"


def test_a_place_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(TuneError, match="cannot be written"), work_in(tmp_path / "file" / "adapter", "d"):
        pass


def test_a_kill_between_two_renames_loses_nothing(tmp_path: Path) -> None:
    out = tmp_path / "adapter"
    _finish(out, "one")
    out.rename(tmp_path / ".adapter.old")  # where land() would have been killed
    check_out(out)
    assert _read(out) == "one"
    _finish(out, "two")
    assert _read(out) == "two" and not (tmp_path / ".adapter.old").exists()


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    out = tmp_path / "adapter"
    with work_in(out, "d") as work:
        with pytest.raises(TuneError, match="another process is tuning into it"), work_in(out, "d"):
            pass
        assert work.result.exists()
        (work.result / "schematune.json").write_text("one", encoding="utf-8")
        work.land()
    assert _read(out) == "one"
