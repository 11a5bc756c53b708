"""docs/reference/settings.md is the table of `archive.settings.Settings`: every field, its default, its variable."""

import tomllib

import click
import msgspec

from archive import settings
from archive.cli.serve import serve
from archive.settings import Settings
from tests.architecture.test_documents import ROOT, code, read, rows

PAGE = read(ROOT / "docs/reference/settings.md")
DESCRIBED = {cells[0].strip("`"): [cell.strip("`") for cell in cells] for cells in rows(PAGE)}
FIELDS = {field.name: field for field in msgspec.structs.fields(Settings)}


def test_every_setting_is_described_in_the_order_of_the_code() -> None:
    assert list(DESCRIBED) == list(FIELDS)


def test_defaults_are_those_of_the_code() -> None:
    assert {name: cells[1] for name, cells in DESCRIBED.items()} == {
        name: str(field.default) for name, field in FIELDS.items()
    }


def test_the_environment_variables_are_those_that_are_read() -> None:
    variables = {cells[2]: name for name, cells in DESCRIBED.items()}
    given = {"data": "d", "database": "e", "host": "h", "log_level": "error", "log_format": "json", "log_file": "f"}
    given |= {"tls_crl_check": "chain", "tls_client_certificate": "ignored", "tls_profile": "bcp195-extended"}
    given |= {"host_lookup": "on", "tls_server_certificate": "ignored"}
    values = {name: given.get(name, "4096") for name in FIELDS} | {"workers": "3"}

    loaded = settings.load({"config": None}, {variable: values[name] for variable, name in variables.items()})

    assert {name: str(getattr(loaded, name)).removesuffix(".0") for name in FIELDS} == values


def test_every_setting_but_secrets_is_an_option_of_serve() -> None:
    options = {name for parameter in serve.params if isinstance(parameter, click.Option) for name in parameter.opts}

    assert {f"--{name.replace('_', '-')}" for name in FIELDS if name not in settings.SECRETS} == options - {"--config"}


def test_the_settings_file_that_is_shown_can_be_used(tmp_path) -> None:
    [shown] = code(PAGE, "toml")
    file = tmp_path / "archive.toml"
    file.write_text(shown, encoding="utf-8")

    loaded = settings.load({"config": str(file)}, {})

    assert {name: getattr(loaded, name) for name in tomllib.loads(shown)} == tomllib.loads(shown)
