"""dcmqrscp_config.py: the file that is written for dcmqrscp, and what that format cannot say."""

import pytest

from archive.errors import Misconfigured
from archive.registry.dcmqrscp_config import (
    ApplicationEntity,
    DcmqrscpConfig,
    Entry,
    Peer,
    ResponseCharacterSet,
    StorageQuota,
    write,
)

PEER = Peer("X", "host", 104)


def entity(**values: object) -> DcmqrscpConfig:
    row = {"ae_title": "A", "storage_area": "/a", "access": "RW", "quota": StorageQuota(9, 1 << 30), "peers": (PEER,)}
    return DcmqrscpConfig(application_entities=(ApplicationEntity(**(row | values)),))  # pyright: ignore[reportArgumentType]


def test_a_configuration_is_written_for_people_to_read() -> None:
    config = DcmqrscpConfig(
        network_tcp_port=11112,
        user_name="dcmtk",
        response_character_set=ResponseCharacterSet("ISO_IR 192", override=True),
        hosts=(Entry("x", (PEER,)), Entry("both of them", ("x", Peer("Y", "10.0.0.1", 105)))),
        vendors=(Entry("Acme & Co", ("both of them",)),),
        application_entities=(
            ApplicationEntity("STORE", "/srv/a b", "W", StorageQuota(10, 1536 << 20), ("both of them",)),
            ApplicationEntity("READ", "/srv/read", "R", StorageQuota(500, 1000), None),
        ),
    )

    assert write(config).decode() == (
        "NetworkTCPPort  = 11112\n"
        "MaxPDUSize      = 16384\n"
        "MaxAssociations = 16\n"
        "UserName        = dcmtk\n"
        'SpecificCharacterSet = "ISO_IR 192", override\n'
        "\nHostTable BEGIN\n"
        "x = (X, host, 104)\n"
        '"both of them" = x, (Y, 10.0.0.1, 105)\n'
        "HostTable END\n"
        "\nVendorTable BEGIN\n"
        '"Acme & Co" = "both of them"\n'
        "VendorTable END\n"
        "\nAETable BEGIN\n"
        'STORE "/srv/a b" W (10, 1536mb) "both of them"\n'
        "READ /srv/read R (500, 1000b) ANY\n"
        "AETable END\n"
    )


@pytest.mark.parametrize(
    "config, message",
    [
        (DcmqrscpConfig(user_name='a "b" c'), "needs quotes and contains one of"),
        (DcmqrscpConfig(user_name="a\nb"), "more than one line"),
        (DcmqrscpConfig(hosts=(Entry("a", ()),)), "without peers"),
        (DcmqrscpConfig(hosts=(Entry("a", (Peer("A B", "h", 1),)),)), "'A B' as AE title or host"),
        (DcmqrscpConfig(hosts=(Entry("a", (Peer("A", "", 1),)),)), "'' as AE title or host"),
        (DcmqrscpConfig(hosts=(Entry("a", (Peer("A", "h)", 1),)),)), r"'h\)' as AE title or host"),
        (DcmqrscpConfig(hosts=(Entry("a,b", (PEER,)), Entry("c", ("a,b",)))), "with a comma for a peer"),
        (DcmqrscpConfig(response_character_set=ResponseCharacterSet("override")), "for an option"),
        (entity(peers=("ANY",)), "for anybody"),
        (entity(peers=(PEER,) * 100), "lines of 511 bytes"),
    ],
)
def test_what_the_format_cannot_say_is_refused(config: DcmqrscpConfig, message: str) -> None:
    with pytest.raises(Misconfigured, match=message):
        write(config)
