"""What a command line of dcmqrscp comes to: settings of the service, columns of areas, AE titles and peers."""

from typing import Any

from archive.cli.dcmtk import tls_settings
from archive.cli.dcmtk.dcmqrscp import Dcmqrscp
from archive.cli.dcmtk.output_options import Output
from archive.dicom.normal import EncodingOptions, GroupLengths, SequenceLengths
from archive.errors import Misconfigured
from archive.registry.changes import ENCODING_SETTINGS
from archive.registry.dcmqrscp_config import DcmqrscpConfig
from archive.registry.dcmqrscp_import import Policies
from archive.registry.tables import OPERATIONS, RULED

_HOSTS = {"ipv4": "0.0.0.0", "ipv6": "ipv6", "auto": "::"}  # noqa: S104 - as dcmqrscp listens


def check(asked: Dcmqrscp) -> None:
    """Raise Misconfigured for what an archive cannot do."""
    if not asked.output.has_file_meta:
        raise Misconfigured("--write-dataset: an archive keeps File Meta Information, or nobody could read its files")


def flags(asked: Dcmqrscp, config: DcmqrscpConfig) -> dict[str, Any]:
    """The settings; None where others may say them. Reads the files that are named for TLS; raises Misconfigured."""
    port = asked.port or config.network_tcp_port
    return {
        "host": _HOSTS[asked.ip_version],
        "port": "off" if asked.tls.is_enabled else port,
        "tls_port": port if asked.tls.is_enabled else None,
        "max_pdu": asked.max_pdu_bytes or config.max_pdu_bytes,
        "max_associations": config.max_associations,
        "workers": 1 if asked.is_single_process else None,
        "acse_timeout": asked.acse_timeout,
        "dimse_timeout": asked.dimse_timeout,
        "connect_timeout": asked.connect_timeout,
        "host_lookup": "on" if asked.looks_up_hosts else "off",
        **tls_settings.settings(asked.tls),
    }


def policies(
    asked: Dcmqrscp, config: DcmqrscpConfig, accepting: int | None = None, proposing: int | None = None
) -> Policies:
    """The columns of every area, AE title and peer; `accepting` and `proposing` are keys of association profiles."""
    return Policies(
        areas={"discards": asked.ignores_stores, **_encoding(asked.output)},
        titles=_title_policy(asked, config) | {"profile_pk": accepting},
        peers={
            # Without an option, what is stored goes out as it is: else a compressed image could not go out at all.
            "proposes": None if asked.propose == "uncompressed" else asked.propose,
            "profile_pk": proposing,
            "uses_tls": asked.tls.is_enabled,
            "checks_host": not asked.tls.is_enabled,  # DCMTK verifies whom it calls, not what host that is for
        },
        operations=RULED if asked.allows_shutdown else OPERATIONS,
    )


def _title_policy(asked: Dcmqrscp, config: DcmqrscpConfig) -> dict[str, Any]:
    answers = asked.character_set.over(config.response_character_set)
    return {
        "moves_to_same_title": "aetitle" in asked.move_restrictions,
        "moves_to_same_host": "host" in asked.move_restrictions,
        "moves_to_same_vendor": "vendor" in asked.move_restrictions,
        "allows_get": asked.allows_get,
        "allows_patient_root": asked.has_patient_root,
        "allows_study_root": asked.has_study_root,
        "allows_patient_study_only": asked.has_patient_study_only,
        "requires_find": asked.requires_find,
        "allows_parallel_store": asked.allows_parallel_stores,
        "refuses": asked.refuses,
        "requires_implementation_uid": asked.requires_implementation_uid,
        "accepts": asked.accept,
        "strict_find": asked.checks_find,
        "strict_move": asked.checks_move,
        "character_set": answers.character_set,
        "character_set_overrides": answers.override,
        "character_set_falls_back": answers.fallback,
        "character_set_transliterates": answers.transliterate,
        "character_set_discards": answers.discard,
    }


def _encoding(output: Output) -> dict[str, Any]:
    """How areas write, as columns.

    dcmqrscp writes every data set anew unless told otherwise; here bytes stay as they came unless an option asks for
    more.
    """
    file_bytes, item_bytes = output.padding_bytes or (0, 0)
    options = EncodingOptions(
        transfer_syntax_uid=output.transfer_syntax,
        group_lengths=GroupLengths(output.group_lengths),
        sequence_lengths=SequenceLengths.EXPLICIT if output.has_explicit_lengths else SequenceLengths.UNDEFINED,
        file_padding_bytes=file_bytes,
        item_padding_bytes=item_bytes,
        old_vrs_only=not output.has_new_vrs,
        deflate_level=output.deflate_level,
    )
    is_anew = options != EncodingOptions() if output.is_bit_preserving is None else not output.is_bit_preserving
    columns = {column: getattr(options, name) for name, column in ENCODING_SETTINGS.items()}
    return {"writing": "normalised" if is_anew else "received"} | {
        column: getattr(value, "value", value) for column, value in columns.items()
    }
