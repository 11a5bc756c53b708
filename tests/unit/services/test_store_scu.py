"""What is proposed for instances, and which of the accepted contexts an instance goes out on."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from archive.dicom import uids
from archive.dicom.transfer_syntax_presets import PROPOSE
from archive.dimse.exchange import Exchange
from archive.errors import CannotConvert, NoContext
from archive.services.store_scu import MAX_CONTEXTS, USUAL_SOP_CLASSES, Sender, portions, syntax_lists
from archive.storage.outgoing import Encoding
from archive.upper_layer.proposal import Context
from archive.upper_layer.states import State

CT = "1.2.840.10008.5.1.4.1.1.2"
JPEG = "1.2.840.10008.1.2.4.50"
EXPLICIT, IMPLICIT = uids.EXPLICIT_VR_LITTLE_ENDIAN, uids.IMPLICIT_VR_LITTLE_ENDIAN
BIG, DEFLATED = uids.EXPLICIT_VR_BIG_ENDIAN, uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN


def sender(*accepted: str, prefers_deflated: bool = False, is_scu: bool = True) -> Sender:
    contexts = {2 * number + 1: Context(2 * number + 1, CT, syntax, is_scu) for number, syntax in enumerate(accepted)}
    association: Any = SimpleNamespace(contexts=contexts, state=State.ESTABLISHED)
    exchange = cast(Exchange, SimpleNamespace(association=association))
    return Sender(exchange, Encoding(), prefers_deflated=prefers_deflated)


def test_the_usual_classes_are_storage_classes_and_fill_an_association() -> None:
    lists = syntax_lists(PROPOSE["uncompressed"], is_combined=False)

    [(sop_classes, contexts)] = portions(USUAL_SOP_CLASSES, lists)

    assert len(set(USUAL_SOP_CLASSES)) == 64
    assert all(map(uids.is_storage, USUAL_SOP_CLASSES))
    assert sop_classes == USUAL_SOP_CLASSES
    assert [context.context_id for context in contexts] == list(range(1, 256, 2))


def test_the_preferred_transfer_syntax_has_a_context_of_its_own() -> None:
    assert syntax_lists((JPEG, EXPLICIT, IMPLICIT), is_combined=False) == ((JPEG,), (EXPLICIT, IMPLICIT))
    assert syntax_lists((JPEG, EXPLICIT, IMPLICIT), is_combined=True) == ((JPEG, EXPLICIT, IMPLICIT),)
    assert syntax_lists((IMPLICIT,), is_combined=False) == ((IMPLICIT,),)


def test_what_needs_more_contexts_than_an_association_has_is_split() -> None:
    sop_classes = [f"1.2.{number}" for number in range(150)]

    split = list(portions([*sop_classes, *sop_classes], ((EXPLICIT,), (IMPLICIT,))))

    assert [len(portion) for portion, _ in split] == [64, 64, 22]
    assert [uid for portion, _ in split for uid in portion] == sop_classes
    assert all(len(contexts) <= MAX_CONTEXTS for _, contexts in split)


@pytest.mark.parametrize(
    "held, accepted, taken",
    [
        (EXPLICIT, (IMPLICIT, EXPLICIT), EXPLICIT),
        (JPEG, (EXPLICIT, JPEG), JPEG),
        (IMPLICIT, (BIG, EXPLICIT), BIG),  # the first explicit one, as DCMTK
        (IMPLICIT, (DEFLATED, IMPLICIT), IMPLICIT),
        (EXPLICIT, (DEFLATED, IMPLICIT), IMPLICIT),
        (EXPLICIT, (DEFLATED,), DEFLATED),
        (DEFLATED, (JPEG, EXPLICIT), EXPLICIT),
    ],
)
def test_an_instance_goes_out_as_it_is_or_converted_as_little_as_can_be(
    held: str, accepted: tuple[str, ...], taken: str
) -> None:
    assert sender(*accepted).context_for(CT, held).transfer_syntax == taken


def test_deflated_is_preferred_where_it_is_asked_for_but_not_for_what_is_compressed() -> None:
    preferring = sender(EXPLICIT, DEFLATED, JPEG, prefers_deflated=True)

    assert preferring.context_for(CT, EXPLICIT).transfer_syntax == DEFLATED
    assert preferring.context_for(CT, JPEG).transfer_syntax == JPEG


@pytest.mark.parametrize("held, accepted", [(JPEG, (EXPLICIT, IMPLICIT)), (EXPLICIT, (JPEG,)), (JPEG, ("1.2.3",))])
def test_what_cannot_be_converted_is_told(held: str, accepted: tuple[str, ...]) -> None:
    with pytest.raises(CannotConvert) as failed:
        sender(*accepted).context_for(CT, held)

    assert not isinstance(failed.value, NoContext)
    assert (failed.value.source, failed.value.target) == (held, accepted[0])


def test_a_class_that_the_peer_does_not_take_is_told_and_so_is_one_in_which_we_may_not_send() -> None:
    with pytest.raises(NoContext):
        sender(EXPLICIT).context_for("1.2.3", EXPLICIT)
    with pytest.raises(NoContext):
        sender(EXPLICIT, is_scu=False).context_for(CT, EXPLICIT)
