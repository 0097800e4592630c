"""make repo: a repository out of the packages, served by a plain web server, and hosts that install and upgrade from it."""

import os
import shutil
import subprocess

import pytest

from conftest import REPO, must, run

PORT = 8123


@pytest.fixture
def new_key(tmp_path):
    """new_key(name): files with a new secret key and its public half."""
    homes = []

    def make(name):
        home = tmp_path / f"home-{name}"
        home.mkdir(mode=0o700)
        homes.append(home)
        environment = {**os.environ, "GNUPGHOME": str(home)}
        must("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", f"{name} of the tests", "ed25519", "sign", "never",
             env=environment)
        secret, public = tmp_path / f"{name}.secret", tmp_path / f"{name}.public"
        secret.write_text(must("gpg", "--batch", "--armor", "--export-secret-keys", env=environment))
        public.write_text(must("gpg", "--batch", "--armor", "--export", env=environment))
        return secret, public

    yield make
    for home in homes:
        run("gpgconf", "--kill", "all", env={**os.environ, "GNUPGHOME": str(home)})


@pytest.fixture
def serve():
    """serve(host, folder): on the machine's loopback, by this host's python, since the machine has none."""
    servers = []

    def start(m, folder):
        servers.append(subprocess.Popen(
            ["nsenter", "-t", str(m.leader), "-n", "/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1",
             "--directory", str(folder), str(PORT)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL))
        m.wait_until(
            lambda: m.run(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{PORT}"]).returncode == 0, 20, "the web server")

    yield start
    for server in servers:
        server.kill()
        server.wait()


def make_repository(key, folder, release, source):
    return must("make", "-s", "--no-print-directory", "-C", REPO, "repo", f"KEY={key}", f"REPO={folder}", f"RELEASES={release}",
                env={**os.environ, "FROM": str(source)})


def test_install_and_upgrade_through_a_repository(packages, boot, new_key, serve, tmp_path):
    release = packages.release
    secret, _ = new_key("signer")
    repository, older = tmp_path / "repository", tmp_path / "older" / release
    older.mkdir(parents=True)
    shutil.copy(packages.as_version("0.0.9-1"), older / "relayalloc_0.0.9-1_amd64.deb")
    said = make_repository(secret, repository, release, older.parent)
    assert "apt install relayalloc" in said
    assert "PRIVATE" not in must("grep", "-rl", "-e", "KEY BLOCK", repository).replace("relayalloc.asc", "")

    m = boot(release, 2)
    m.sh("rm -rf /etc/apt/sources.list /etc/apt/sources.list.d && mkdir -p /etc/apt/keyrings /etc/apt/sources.list.d")
    m.write("/etc/apt/apt.conf.d/90proxy", 'Acquire::http::Proxy "false";\n')
    m.path("/etc/apt/keyrings/relayalloc.asc").write_bytes((repository / "relayalloc.asc").read_bytes())
    m.write("/etc/apt/sources.list.d/relayalloc.list",
            f"deb [signed-by=/etc/apt/keyrings/relayalloc.asc] http://127.0.0.1:{PORT} {release} main\n")
    serve(m, repository)
    m.mark()
    m.apt("update")
    m.apt("install", "relayalloc")
    assert m.sh("dpkg-query -W -f='${Version}' relayalloc") == "0.0.9-1"
    m.wait_all("observed")

    make_repository(secret, repository, release, REPO / "build/deb")
    m.apt("update")
    m.apt("upgrade")
    assert m.sh("dpkg-query -W -f='${Version}' relayalloc") == packages.version
    m.wait_all("observed")
    assert set(m.asked_starts().values()) == {0}
    assert "0.0.9-1" in m.sh("apt-cache madison relayalloc")

    # Signed by somebody else it is not taken.
    other, _ = new_key("somebody")
    make_repository(other, repository, release, REPO / "build/deb")
    m.sh("rm -rf /var/lib/apt/lists/*")
    done = m.run(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "update"])
    assert "not signed" in done.stdout + done.stderr or "NO_PUBKEY" in done.stdout + done.stderr, done.stdout + done.stderr
    assert m.run("apt-cache madison relayalloc").stdout == ""


def test_what_is_missing_is_said(tmp_path, new_key):
    done = run("make", "-s", "-C", REPO, "repo", "RELEASES=bookworm")
    assert done.returncode != 0 and "KEY=" in done.stdout
    done = run(REPO / "packaging/repo", tmp_path / "nothing", tmp_path / "repository", "bookworm")
    assert done.returncode == 1 and "cannot be read" in done.stdout
    secret, public = new_key("signer")
    done = run(REPO / "packaging/repo", public, tmp_path / "repository", "bookworm")
    assert done.returncode == 1 and "holds no secret key" in done.stdout
    (tmp_path / "none/bookworm").mkdir(parents=True)
    done = run(REPO / "packaging/repo", secret, tmp_path / "repository", "bookworm", env={**os.environ, "FROM": str(tmp_path / "none")})
    assert done.returncode == 1 and "run make deb" in done.stdout
