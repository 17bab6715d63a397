"""Debian's Postfix with Dovecot, and OpenLDAP's slapd, on loopback in a folder of their own.

Each is started with a configuration written here, serves the people of the benchmarks, and is
stopped by its pid. Needs root (they give it up themselves) and the packages postfix,
dovecot-imapd, dovecot-lmtpd and slapd; `available` says what is missing.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

PEOPLE = 50
PASSWORD = "plain-ducks-measure-mail"
SMTP, IMAP, LDAP = 31_925, 31_943, 31_989


def available(*programs: str) -> bool:
    """Whether these can be run here."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/lib/postfix/sbin:/usr/lib/dovecot"
    return os.geteuid() == 0 and all(shutil.which(program, path=path) for program in programs)


def cpu_of_group(session: int) -> float:
    """Seconds used by every process of a session, those that ended and were waited for included."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session:
            total += sum(int(field) for field in fields[11:15])
    return total / os.sysconf("SC_CLK_TCK")


class Peer:
    """A folder, and processes that run in a session of their own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="imsd-peer-"))
        self.folder.chmod(0o755)
        self.processes: list[subprocess.Popen[bytes]] = []

    def run(self, *command: str) -> None:
        self.processes.append(
            subprocess.Popen(
                command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        )

    def cpu(self) -> float:
        return sum(cpu_of_group(process.pid) for process in self.processes)

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Mail(Peer):
    """Postfix on SMTP, delivering by LMTP to Dovecot on IMAP (processes kept for reuse)."""

    def __init__(self) -> None:
        super().__init__()
        self._dovecot()
        self._postfix()
        time.sleep(2)

    def _dovecot(self) -> None:
        base = self.folder
        mail = base / "mail"
        mail.mkdir()
        shutil.chown(mail, "mail", "mail")
        user = pwd.getpwnam("mail")
        config = base / "dovecot.conf"
        config.write_text(
            f"base_dir = {base}/run\nstate_dir = {base}/state\nlog_path = {base}/dovecot.log\n"
            "protocols = imap lmtp\nlisten = 127.0.0.1\nssl = no\ndisable_plaintext_auth = no\n"
            f"auth_mechanisms = plain\nmail_location = mdbox:{mail}/%n\nfirst_valid_uid = {user.pw_uid}\n"
            "mail_fsync = optimized\nlmtp_save_to_detail_mailbox = no\nauth_cache_size = 1M\n"
            f"passdb {{\n driver = static\n args = password={PASSWORD}\n}}\n"
            f"userdb {{\n driver = static\n args = uid={user.pw_uid} gid={user.pw_gid} home={mail}/%n\n}}\n"
            f"service imap-login {{\n service_count = 0\n process_min_avail = 2\n"
            f" inet_listener imap {{\n  port = {IMAP}\n }}\n inet_listener imaps {{\n  port = 0\n }}\n}}\n"
            "service imap {\n service_count = 100000\n process_min_avail = 8\n}\n"
            "service lmtp {\n process_min_avail = 2\n"
            f" unix_listener {base}/lmtp {{\n  mode = 0666\n }}\n}}\n"
            "service auth {\n client_limit = 4096\n}\nnamespace inbox {\n inbox = yes\n}\n"
        )
        self.run("dovecot", "-F", "-c", str(config))

    def _postfix(self) -> None:
        base = self.folder / "postfix"
        config, queue, data = base / "etc", base / "queue", base / "data"
        for folder in (config, queue, data):
            folder.mkdir(parents=True)
        shutil.chown(data, "postfix")
        (config / "main.cf").write_text(
            "compatibility_level = 3.6\n"
            f"queue_directory = {queue}\ndata_directory = {data}\ncommand_directory = /usr/sbin\n"
            "daemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\nsetgid_group = postdrop\n"
            "myhostname = peer.example.test\nmydestination =\ninet_interfaces = 127.0.0.1\n"
            "inet_protocols = ipv4\nmynetworks = 127.0.0.0/8\nsmtpd_tls_security_level = none\n"
            "virtual_mailbox_domains = example.test\nvirtual_mailbox_maps = static:all\n"
            f"virtual_transport = lmtp:unix:{self.folder}/lmtp\nlmtp_destination_recipient_limit = 1\n"
            "virtual_destination_concurrency_limit = 20\nlmtp_destination_concurrency_limit = 20\n"
            "smtpd_client_connection_rate_limit = 0\n"
            "smtpd_recipient_restrictions = permit_mynetworks, reject\n"
            f"maillog_file = {self.folder}/mail.log\nmaillog_file_prefixes = /tmp\n"
            "alias_maps =\nalias_database =\nlocal_recipient_maps =\nanvil_rate_time_unit = 60s\n"
        )
        text = Path("/usr/share/postfix/master.cf.dist").read_text()
        lines = []
        for line in text.splitlines():
            if line.startswith("smtp      inet"):
                line = f"127.0.0.1:{SMTP} inet n - n - - smtpd"
            lines.append(line)
        if not any(line.startswith("postlog") for line in lines):
            lines.append("postlog unix-dgram n - n - 1 postlogd")
        (config / "master.cf").write_text("\n".join(lines).replace(" y       ", " n       ") + "\n")
        subprocess.run(["postfix", "-c", str(config), "check"], check=False, capture_output=True, timeout=60)
        self.run("/usr/lib/postfix/sbin/master", "-c", str(config), "-d")

    def delivered(self) -> int:
        """Messages that Dovecot has saved."""
        try:
            return (self.folder / "dovecot.log").read_text().count("saved mail to INBOX")
        except OSError:
            return 0


class Directory(Peer):
    """slapd over mdb with the people of the benchmarks, indexed as ours are."""

    def __init__(self) -> None:
        super().__init__()
        base = self.folder
        (base / "db").mkdir()
        schemas = "".join(
            f"include /etc/ldap/schema/{name}.schema\n" for name in ("core", "cosine", "inetorgperson")
        )
        config = base / "slapd.conf"
        config.write_text(
            f"{schemas}modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {base}/pid\n"
            f'database mdb\nsuffix "dc=example,dc=test"\nrootdn "cn=admin,dc=example,dc=test"\n'
            f"rootpw {PASSWORD}\ndirectory {base}/db\n"
            "index objectClass eq\nindex uid,mail,cn,sn,givenName eq,sub\nmaxsize 104857600\n"
        )
        entries = [
            "dn: dc=example,dc=test\nobjectClass: dcObject\nobjectClass: organization\n"
            "o: Example\ndc: example\n"
        ]
        for number in range(PEOPLE):
            entries.append(
                f"dn: cn=user{number},dc=example,dc=test\nobjectClass: inetOrgPerson\ncn: user{number}\n"
                f"sn: User\nuid: user{number}\nmail: user{number}@example.test\ndisplayName: User {number}\n"
            )
        (base / "people.ldif").write_text("\n".join(entries))
        subprocess.run(
            ["/usr/sbin/slapadd", "-f", str(config), "-l", str(base / "people.ldif")],
            check=True,
            capture_output=True,
        )
        self.run("/usr/sbin/slapd", "-d", "0", "-f", str(config), "-h", f"ldap://127.0.0.1:{LDAP}")
        time.sleep(1)
