"""Settings: every fault named, all at once, each with its remedy, and nothing written before all are right."""

import json
import stat
from pathlib import Path

import pytest

from preference_center import config, i18n, kept_secrets, settings_checks
from preference_center.config import BadSettings
from preference_center.mail import mime

RIGHT = {
    "PUBLIC_URL": "https://mail.example.com",
    "RELAY_URL": "smtp://user:secret@relay.example.com:587",
    "MAIL_FROM": "Example Shop <news@example.com>",
    "ORGANISATION": "Example Shop Ltd",
    "POSTAL_ADDRESS": "1 Long Street\\n00-001 Warsaw",
}
SECRETS = {"SECRET_KEY": "s" * 32, "LINK_KEYS": "1:" + "k" * 32, "PREFERENCE_CENTER_ADDRESS_KEY": "a" * 32}


def faults_of(folder: Path, **changed: str) -> list[str]:
    with pytest.raises(BadSettings) as wrong:
        config.read({**RIGHT, "DATA_DIR": str(folder / "data"), **changed})
    assert not (folder / "data").exists(), "something was written before all was right"
    return wrong.value.faults


def test_the_least_that_must_be_given_is_enough_and_secrets_are_made_once(tmp_path: Path) -> None:
    given = {**RIGHT, "DATA_DIR": str(tmp_path / "data")}
    first, second = config.read(given), config.read(given)
    assert first == second
    assert first.embedded_database and first.redis_url is None
    assert first.postal_address == "1 Long Street\n00-001 Warsaw"
    assert (first.from_address, first.from_name, first.sending_domain) == (
        "news@example.com",
        "Example Shop",
        "example.com",
    )
    assert stat.S_IMODE(kept_secrets.file_of(first.data_dir).stat().st_mode) == 0o600
    assert stat.S_IMODE(first.data_dir.stat().st_mode) == 0o700


def test_sending_addresses_are_read_one_by_one(tmp_path: Path) -> None:  # S90
    given = {**RIGHT, "DATA_DIR": str(tmp_path), "PREFERENCE_CENTER_SENDING_ADDRESSES": "192.0.2.1  2001:DB8::1"}
    assert config.read(given).sending_addresses == ("192.0.2.1", "2001:db8::1")


def test_everything_missing_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as wrong:
        config.read({"DATA_DIR": str(tmp_path / "data")})
    assert [fault.split()[0] for fault in wrong.value.faults] == [
        "PUBLIC_URL", "RELAY_URL", "MAIL_FROM", "ORGANISATION", "POSTAL_ADDRESS",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("DATABASE_URL", "mysql://host/name", "DATABASE_URL is not understood; write it like sqlite:///file"),
        ("DATABASE_URL", "sqlite://", "DATABASE_URL is not understood"),
        ("DATABASE_URL", "postgresql://host/name", "postgresql+psycopg://user:password@host/name"),
        ("REDIS_URL", "localhost:6379", "REDIS_URL is not understood; write it like redis://host:6379/0."),
        ("REDIS_URL", "redis://host:many/0", "REDIS_URL is not understood"),
        ("PREFERENCE_CENTER_SENDING_ADDRESSES", "fe80::1%eth0", "must be IP addresses with spaces between"),
        ("PREFERENCE_CENTER_SENDING_ADDRESSES", "192.0.2.0/24", "must be IP addresses with spaces between"),
        ("PREFERENCE_CENTER_COMPLAINTS_TO", "fbl@other.example", "must be an address at example.com or below"),
        ("PREFERENCE_CENTER_COMPLAINTS_TO", "fbl@notexample.com", "must be an address at example.com or below"),
        ("PREFERENCE_CENTER_COMPLAINTS_TO", "a@example.com; x", "must be an address at example.com or below"),
        ("PUBLIC_URL", "mail.example.com", "PUBLIC_URL is not understood; write it like https://mail.example.com."),
        ("PUBLIC_URL", "https://", "PUBLIC_URL is not understood"),
        ("PUBLIC_URL", "https://[::1", "PUBLIC_URL is not understood"),
        ("PUBLIC_URL", "http://mail.example.com", "PUBLIC_URL must begin with https://"),
        ("PUBLIC_URL", "https://example.com/mail", "PUBLIC_URL must end after the host"),
        ("PUBLIC_URL", "https://mail.example.com?", "PUBLIC_URL must end after the host"),
        ("PUBLIC_URL", "https://mail.example.com/#", "PUBLIC_URL must end after the host"),
        ("PUBLIC_URL", "https://@mail.example.com", "PUBLIC_URL must end after the host"),
        ("PUBLIC_URL", "https://mail..example.com", "PUBLIC_URL is not understood"),
        ("PUBLIC_URL", "https://mail.example.com;x", "PUBLIC_URL is not understood"),
        (
            "RELAY_URL",
            "relay.example.com:587",
            "RELAY_URL is not understood; write it like smtp://user:password@host:587.",
        ),
        ("RELAY_URL", "smtp://relay.example.com:99999", "RELAY_URL is not understood"),
        ("RELAY_URL", "smtp://", "RELAY_URL is not understood"),
        ("RELAY_URL", "smtp://relay.example.com?verify=maybe", "verify= in the relay URL must be yes or no."),
        ("RELAY_URL", "smtp://u:p@relay.example.com:25/path", "the relay URL goes on after host and port"),
        ("RELAY_URL", "smtp://user@relay.example.com", "names a user without a password"),
        ("RELAY_URL", "smtp://relay.example.com?weight=" + "9" * 5000, "must be a whole number from 1 to 1000"),
        ("RELAY_URL", "smtps://relay.example.com?ca_file=/nowhere.pem", "/nowhere.pem, which cannot be read."),
        ("RELAY_URL", "smtps://relay.example.com?ca_file=/a%00.pem", "which cannot be read."),
        ("PREFERENCE_CENTER_RELAYS", "smtp://b.example?ca_file=%00", "number 1, is not understood; its ca_file= names"),
        (
            "PREFERENCE_CENTER_RELAYS",
            "smtp://a.example smtp://b.example?tls=perhaps",
            "number 2, is not understood; tls=",
        ),
        ("MAIL_FROM", "Example Shop", "MAIL_FROM holds no address; write it as: Shop <news@example.com>."),
        ("MAIL_FROM", "Shop <news@example..com>", "what stands after the @ is no domain. Write it as: Shop <"),
        ("MAIL_FROM", "Shop <-news@example.com>", "it begins with a hyphen"),
        ("MAIL_FROM", '"a b"@example.com', "the part before the @ is missing, too long, or holds a character"),
        ("MAIL_FROM", "x" * 65 + "@example.com", "the part before the @ is missing, too long"),
        ("MAIL_FROM", "news@[192.0.2.1]", "what stands after the @ is no domain"),
        (
            "PREFERENCE_CENTER_BOUNCE_DOMAIN",
            "bounces@example.com",
            "must be a domain and nothing else, such as bounce.",
        ),
        ("PREFERENCE_CENTER_BOUNCE_DOMAIN", "https://bounce.example.com", "must be a domain and nothing else"),
        ("PREFERENCE_CENTER_BOUNCE_DOMAIN", "bounce.example.com,", "must be a domain and nothing else"),
        ("PREFERENCE_CENTER_BOUNCE_DOMAIN", f"{'b' * 64}.example.com", "must be a domain and nothing else"),
        ("PREFERENCE_CENTER_DKIM_DOMAIN", "example com", "must be a domain and nothing else, such as example.com."),
        ("PREFERENCE_CENTER_UNSUBSCRIBE_MAILBOX", "nonsense", "must be an address such as unsubscribe@example.com"),
        ("PREFERENCE_CENTER_UNSUBSCRIBE_MAILBOX", "a b@ex>ample.com", "must be an address such as unsubscribe@"),
        ("PREFERENCE_CENTER_UNSUBSCRIBE_MAILBOX", "żegnaj@example.com", "letters, digits and . _ + - before the @"),
        ("PREFERENCE_CENTER_CONTACT_EMAIL", "help at example.com", "must be an address such as help@example.com"),
        ("PREFERENCE_CENTER_PRIVACY_URL", "javascript:x", "write it like https://example.com/privacy."),
        ("PREFERENCE_CENTER_PORT", "9" * 5000, "PREFERENCE_CENTER_PORT must be a whole number from 0 to 65535."),
        ("MAIL_FROM", "Shop <news@example.com>\nBcc: x@y.example", "MAIL_FROM holds a control character"),
        ("ORGANISATION", "Shop\r\nX: y", "ORGANISATION holds a control character"),
        ("SECRET_KEY", "short", "SECRET_KEY is too short to be safe: 32 characters or more."),
        ("LINK_KEYS", "One:" + "k" * 32, "LINK_KEYS must be id:secret pairs"),
        ("LINK_KEYS", f"1:{'k' * 32},1:{'j' * 32}", "LINK_KEYS must be id:secret pairs"),
        ("PREFERENCE_CENTER_PORT", "many", "PREFERENCE_CENTER_PORT must be a whole number from 0 to 65535."),
        ("PREFERENCE_CENTER_WORKERS", "0", "PREFERENCE_CENTER_WORKERS must be a whole number from 1 to 64."),
        ("PREFERENCE_CENTER_DEFAULT_LANGUAGE", "de", "must be one of en, pl, es, pt-BR."),
        ("PREFERENCE_CENTER_DEFAULT_JURISDICTION", "Poland", "a country of two capital letters"),
        ("PREFERENCE_CENTER_DKIM_SELECTOR", "s1", "belong together: set both."),
        ("PREFERENCE_CENTER_COLOUR", "red", "PREFERENCE_CENTER_COLOUR is not a setting; see the list in the README."),
    ],
)
def test_a_wrong_setting_gets_one_line_with_its_remedy(tmp_path: Path, name: str, value: str, remedy: str) -> None:
    given = {**(SECRETS if name == "DATABASE_URL" else {}), name: value}
    faults = faults_of(tmp_path, **given)
    assert any(remedy in fault for fault in faults), faults
    assert all("\n" not in fault for fault in faults)
    assert sum(fault.startswith(name) for fault in faults) <= 1, "one fault, one line"


@pytest.mark.parametrize(
    ("name", "given", "read"),
    [
        ("public_url", "HTTPS://Mail.Example.COM/", "https://mail.example.com"),
        ("public_url", "https://żółw.pl", "https://xn--w-uga1v8h.pl"),
        ("public_url", "https://mail.example.com.:8443", "https://mail.example.com:8443"),
        ("public_url", "http://[::1]:8000", "http://[::1]:8000"),
        ("mail_from", "Sklep <news@żółw.pl>", "Sklep <news@xn--w-uga1v8h.pl>"),
        ("mail_from", '"news@Żółw.pl" <news@Żółw.pl.>', '"news@Żółw.pl" <news@xn--w-uga1v8h.pl>'),
        ("mail_from", "News@example.com", "News@example.com"),
        ("bounce_domain", "Bounce.Żółw.pl.", "bounce.xn--w-uga1v8h.pl"),
        ("dkim_domain", "żółw.pl", "xn--w-uga1v8h.pl"),
        ("unsubscribe_mailbox", "wypisz@żółw.pl", "wypisz@xn--w-uga1v8h.pl"),
        ("contact_email", "help@Example.com.", "help@example.com"),
    ],
)
def test_hosts_and_own_addresses_are_kept_as_they_travel(tmp_path: Path, name: str, given: str, read: str) -> None:
    setting = name.upper() if name.upper() in RIGHT else f"PREFERENCE_CENTER_{name.upper()}"
    settings = config.read({**RIGHT, "DATA_DIR": str(tmp_path), setting: given})
    assert getattr(settings, name) == read


def test_complaints_go_to_a_domain_however_it_is_written(tmp_path: Path) -> None:
    given = {**RIGHT, "DATA_DIR": str(tmp_path), "MAIL_FROM": "news@xn--w-uga1v8h.pl"}
    assert config.read(given | {"PREFERENCE_CENTER_COMPLAINTS_TO": "fbl@in.żółw.pl"}).complaints_to == (
        "fbl@in.xn--w-uga1v8h.pl"
    )


@pytest.mark.parametrize("address", ["news@example.com", "no-reply+x@a.example", "żółw@example.com", "o'neil@żółw.pl"])
def test_an_address_that_is_taken_can_be_written(tmp_path: Path, address: str) -> None:
    settings = config.read({**RIGHT, "DATA_DIR": str(tmp_path), "MAIL_FROM": f"Shop <{address}>"})
    assert mime.mailbox("Shop", settings.from_address).endswith(f"{settings.from_address}>")
    assert settings.from_address == mime.utf8_address(address)


def test_no_secret_is_shown_with_the_settings(tmp_path: Path) -> None:
    own = {name: value for name, value in SECRETS.items() if name != "LINK_KEYS"}
    settings = config.read(
        {
            **RIGHT,
            **own,
            "LINK_KEYS": "1:hunter2" + "k" * 32,
            "DATA_DIR": str(tmp_path),
            "DATABASE_URL": "postgresql+psycopg://me:hunter2@db/pc",
            "REDIS_URL": "redis://:hunter2@queue/0",
            "RELAY_URL": "smtp://me:hunter2@relay",
            "PREFERENCE_CENTER_RELAYS": "smtp://me:hunter2@another",
            "PREFERENCE_CENTER_MAILBOX_URL": "imaps://me:hunter2@host/INBOX",
            "PREFERENCE_CENTER_HOOK_MAILGUN_KEYS": "hunter2",
        }
    )
    assert "hunter2" in str(settings.hooks) and "hunter2" in str(settings.relays)
    assert not [told for told in ("hunter2", *own.values()) if told in repr(settings)]


def test_several_wrong_settings_are_named_together(tmp_path: Path) -> None:
    faults = faults_of(tmp_path, PUBLIC_URL="mail", RELAY_URL="relay", PREFERENCE_CENTER_PORT="x", MAIL_FROM="")
    assert {fault.split()[0] for fault in faults} == {"PUBLIC_URL", "RELAY_URL", "PREFERENCE_CENTER_PORT", "MAIL_FROM"}


def test_no_password_is_repeated_in_a_fault(tmp_path: Path) -> None:
    assert "hunter2" not in " ".join(
        faults_of(tmp_path, RELAY_URL="ftp://me:hunter2@host", DATABASE_URL="x://me:hunter2@h")
    )


def test_with_a_database_of_your_own_the_secrets_must_be_given(tmp_path: Path) -> None:
    url = "postgresql+psycopg://me:x@db/pc"
    faults = faults_of(tmp_path, DATABASE_URL=url)
    assert [fault.split()[0] for fault in faults] == ["SECRET_KEY", "LINK_KEYS", "PREFERENCE_CENTER_ADDRESS_KEY"]
    settings = config.read({**RIGHT, **SECRETS, "DATABASE_URL": url, "DATA_DIR": str(tmp_path / "data")})
    assert not settings.embedded_database and not (tmp_path / "data").exists()


def test_a_database_may_be_reached_by_a_socket(tmp_path: Path) -> None:
    url = "postgresql+psycopg://me:@/pc?host=/run/postgresql"
    read = config.read({**RIGHT, **SECRETS, "DATABASE_URL": url, "DATA_DIR": str(tmp_path / "data")})
    assert read.database_url == url


@pytest.mark.parametrize("name", ["none.pem", "\ud800none.pem"])
def test_a_dkim_key_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    [fault] = faults_of(
        tmp_path, PREFERENCE_CENTER_DKIM_SELECTOR="s1", PREFERENCE_CENTER_DKIM_KEY_FILE=str(tmp_path / name)
    )
    assert f"{name}, which cannot be read." in fault


def test_a_data_dir_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSettings, match=r"^DATA_DIR .* cannot be written: Not a directory\.") as wrong:
        config.read({**RIGHT, "DATA_DIR": str(tmp_path / "file" / "data")})
    assert len(wrong.value.faults) == 1


def test_damaged_secrets_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{")
    with pytest.raises(BadSettings, match="Restore it from your backup"):
        config.read({**RIGHT, "DATA_DIR": str(tmp_path)})
    assert (tmp_path / "secrets.json").read_text() == "{"


def test_a_file_of_settings_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / "pc.env"
    lines = ["# ours", "", *(f"export {name}='{value}'" for name, value in RIGHT.items()), f"DATA_DIR={tmp_path}/kept"]
    file.write_text("\n".join(lines))
    settings = config.read({"PREFERENCE_CENTER_ENV": str(file), "ORGANISATION": "Another"})
    assert (settings.organisation, settings.data_dir) == ("Another", tmp_path / "kept")
    assert config.data_dir({"PREFERENCE_CENTER_ENV": str(file)}) == tmp_path / "kept"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('Spółdzielnia "Mlekovita"', 'Spółdzielnia "Mlekovita"'),
        ('"Spółdzielnia Mlekovita"', "Spółdzielnia Mlekovita"),
        ("'Spółdzielnia \"Mlekovita\"'", 'Spółdzielnia "Mlekovita"'),
        ('"Milk" and "Cream"', '"Milk" and "Cream"'),
        ("The Milkmen'", "The Milkmen'"),
        ('"', '"'),
    ],
)
def test_only_quotes_around_the_whole_of_a_value_are_taken_off(tmp_path: Path, written: str, read: str) -> None:
    file = tmp_path / "pc.env"
    lines = [f"{name}={value}" for name, value in (RIGHT | {"ORGANISATION": written}).items()]
    file.write_text(
        "\n".join([*lines, f"DATA_DIR={tmp_path}"]), encoding="utf-8-sig"
    )  # with the mark some editors begin with
    assert config.read({"PREFERENCE_CENTER_ENV": str(file)}).organisation == read


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "which cannot be read"),
        (b"\xff\xfe\x00", "not text in UTF-8"),
        (b"ORGANISATION\n", "line 1: write it as NAME=value."),
    ],
)
def test_a_file_of_settings_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    file = tmp_path / "pc.env"
    if content is not None:
        file.write_bytes(content)
    assert any(words in fault for fault in faults_of(tmp_path, PREFERENCE_CENTER_ENV=str(file)))


def test_a_child_with_settings_of_its_own_gets_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_URL", "smtp://real-relay.example.com")
    monkeypatch.setenv("PREFERENCE_CENTER_DKIM_SELECTOR", "s1")
    monkeypatch.setenv("LANG", "pl_PL.UTF-8")
    environment = config.environment({"DATA_DIR": "/somewhere"})
    assert "RELAY_URL" not in environment and "PREFERENCE_CENTER_DKIM_SELECTOR" not in environment
    assert (environment["DATA_DIR"], environment["LANG"]) == ("/somewhere", "pl_PL.UTF-8")
    assert config.environment()["RELAY_URL"] == "smtp://real-relay.example.com"


def test_a_link_key_can_be_added_only_where_keys_are_kept(tmp_path: Path) -> None:
    kept = config.read({**RIGHT, "DATA_DIR": str(tmp_path / "a")})
    given = config.read({**RIGHT, **SECRETS, "DATA_DIR": str(tmp_path / "b")})
    assert config.keeps_link_keys(kept) and not config.keeps_link_keys(given)
    kept_secrets.change(kept.data_dir, "LINK_KEYS", "1:" + "x" * 32)
    assert json.loads(kept_secrets.file_of(kept.data_dir).read_text())["SECRET_KEY"] == kept.secret_key


def test_the_languages_of_the_settings_are_those_we_speak() -> None:
    assert tuple(i18n.LANGUAGES) == settings_checks.LANGUAGES
