"""A wheel, installed in an empty environment outside the checkout, works."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.servers import DOMAIN, PASSWORD, ROOT, free_offset

pytestmark = pytest.mark.system


def run(*command: str, cwd: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def bare() -> dict[str, str]:
    """An environment without anything of this checkout in it."""
    import os

    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "IMSD_", "VIRTUAL"))
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, bare: dict[str, str]) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.split(b"\0")
    for name in filter(None, names):
        path = ROOT / name.decode()
        if path.is_file():
            target = source / name.decode()
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    run(
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--outdir",
        str(folder),
        str(source),
        cwd=folder,
        environment=bare,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_plugin_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "twisted/plugins/imsd_plugin.py" in names
    assert "twisted/plugins/__init__.py" not in names
    assert not [name for name in names if name.startswith(("tests", "benchmarks"))]
    assert [name for name in names if "/migrations/versions/" in name]


def test_the_wheel_alone_gives_a_working_server(wheel: Path, tmp_path: Path, bare: dict[str, str]) -> None:
    venv.create(tmp_path / "env", with_pip=False)
    binaries = tmp_path / "env/bin"
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(binaries / "python"),
        "install",
        "--quiet",
        "--no-compile",
        str(wheel),
        cwd=tmp_path,
        environment=bare,
    )
    imsctl, home = str(binaries / "imsctl"), str(tmp_path / "home")
    options = ["--domain", DOMAIN, "--listen", "127.0.0.1", "--port-offset", str(free_offset())]
    run(
        imsctl,
        "--home",
        home,
        "setup",
        "--yes",
        *options,
        "--admin-password",
        PASSWORD,
        cwd=tmp_path,
        environment=bare,
    )
    server = subprocess.Popen(
        [str(binaries / "twistd"), "--nodaemon", "--pidfile=", "imsd", "--home", home], cwd=tmp_path, env=bare
    )
    try:
        run(imsctl, "--home", home, "status", "--wait", "40", cwd=tmp_path, environment=bare)
        run(
            imsctl,
            "--home",
            home,
            "user",
            "add",
            f"carol@{DOMAIN}",
            "--password",
            PASSWORD,
            cwd=tmp_path,
            environment=bare,
        )
        assert f"carol@{DOMAIN}" in run(
            imsctl, "--home", home, "user", "list", cwd=tmp_path, environment=bare
        )
    finally:
        server.terminate()
        assert server.wait(40) in (0, -15)
