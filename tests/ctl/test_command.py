"""What the group of all commands does for each."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from imsd.ctl.command import imsctl


def test_a_file_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    target = tmp_path / "nowhere" / "x.ldif"
    done = CliRunner().invoke(imsctl, ["--home", str(tmp_path), "directory", "export", str(target)])
    assert (done.exit_code, done.output) == (1, f"Error: {target}: No such file or directory\n")
