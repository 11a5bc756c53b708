"""`archive storescu`: send files to a peer, as a command line of DCMTK's storescu asks for.

Which files, in which order, and which of them an association can carry; `sending` sends them.
"""

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

from archive.cli import progress
from archive.cli.dcmtk import network_options, sending_words
from archive.cli.dcmtk.face import Ended
from archive.cli.dcmtk.network_options import ProfileName
from archive.cli.dcmtk.options import CommandLine
from archive.cli.dcmtk.sending import Sending
from archive.cli.dcmtk.shipment import FAILED, Item, Leg, Shipment
from archive.cli.dcmtk.storescu_options import Files, Proposed, decide
from archive.dicom import uids
from archive.dicom.invention import Inventor
from archive.dicom.transfer_syntax_presets import PROPOSE
from archive.errors import ArchiveError, NotDicom
from archive.services import store_scu
from archive.services.store_scu import USUAL_SOP_CLASSES, Terms
from archive.storage.outgoing import open_outgoing
from archive.storage.search import files_below
from archive.storage.sources import Found
from archive.upper_layer.proposal import ExtendedNegotiation, ProposedContext, Role

log = logging.getLogger(__name__)


def send(given: CommandLine) -> int:
    """Send the files; the exit code. Raises Ended."""
    asked = decide(given, is_verbose=log.isEnabledFor(logging.INFO))
    profile = None if asked.proposed.profile is None else _terms_of(asked.proposed.profile)
    shipment = Shipment(asked, lambda _steps: None, Inventor(asked.invents) if asked.invents else None)
    items = _find(asked.files, shipment)
    total = shipment.failures + len(items)  # what is not there is a failure already
    with _bar(len(items)) as advance:
        shipment.advance = advance
        legs = _legs(asked.proposed, items, shipment) if profile is None else iter((Leg(profile, items),))
        _carry(shipment, legs)
    if shipment.failures and not asked.halts:
        log.error("%d of %d files were not sent", shipment.failures, total)
    if shipment.passed_over == len(items):
        raise Ended("no input files to be sent", FAILED)
    return shipment.exit_code


def _bar(total: int) -> AbstractContextManager[progress.Advance]:
    """A progress bar where nothing else is said, but what goes wrong."""
    root = logging.getLogger()
    if root.isEnabledFor(logging.INFO) or not root.isEnabledFor(logging.WARNING):
        return nullcontext(lambda _steps: None)
    return progress.bar("Sending", total)


def _terms_of(named: ProfileName) -> Terms:
    """What a profile proposes; raises Misconfigured."""
    reading = network_options.read_profiles(named.file)
    for notice in reading.notices:
        log.warning("%s, line %d: %s", named.file, notice.line, notice.text)
    profile = reading.profile(named.name)
    profile.check_requestor()
    return Terms(
        tuple(
            ProposedContext(2 * number + 1, each.sop_class, each.transfer_syntaxes)
            for number, each in enumerate(profile.contexts)
        ),
        tuple(Role(each.sop_class, each.is_scu, each.is_scp) for each in profile.roles),
        tuple(ExtendedNegotiation(each.sop_class, each.information) for each in profile.extensions),
    )


# Which files


def _find(files: Files, shipment: Shipment) -> list[Item]:
    """The files that are named, and those in folders that are; raises Ended where one is not there, or none is."""
    if files.scans:
        log.info("determining input files ...")
    found = [*_found(files)]
    for each, _ in found:
        if each.skipped_because:
            log.warning("ignoring %s: %s", each.skipped_because, each.path)
    items = [Item(number, each.path, is_found) for number, (each, is_found) in enumerate(found) if _is_file(each)]
    missing = [(number, each) for number, (each, _) in enumerate(found) if each.unreadable_because]
    if items or missing:
        log.info("checking input files ...")
    for number, each in missing:
        shipment.missed(number, f"cannot access file: {each.path}: {each.unreadable_because}")
    if not items:
        raise Ended("no input files to be sent", FAILED)
    return items


def _is_file(found: Found) -> bool:
    return not found.skipped_because and not found.unreadable_because


def _found(files: Files) -> Iterator[tuple[Found, bool]]:
    """What is named, or lies in a folder that is: whether a search found it."""
    for path in files.named:
        try:
            is_folder = stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116 - paths are plain text here
        except (OSError, ValueError) as error:
            yield Found(path, unreadable_because=str(getattr(error, "strerror", None) or error)), False
            continue
        if not is_folder:
            yield Found(path), False
        elif files.scans:
            for found in files_below(path, pattern=files.pattern, recurses=files.recurses):
                yield found, True
        else:
            because = "directory because option --scan-directories is not set"
            yield Found(path, skipped_because=because), False


def _by_sop_class(files: Files, items: list[Item], shipment: Shipment) -> dict[str, list[Item]]:
    """What is to be sent, by SOP Class in the order of files; raises Ended for a file that is no instance."""
    by_class: dict[str, list[Item]] = {}
    for item in items:
        try:
            outgoing = open_outgoing(item.path, files.form)
        except ArchiveError as error:
            if item.is_found and isinstance(error, NotDicom):
                shipment.pass_over(item, error)
            else:
                why = sending_words.reason(error)
                shipment.missed(item.number, f"missing SOP class (or instance) in file: {item.path}: {why}")
            continue
        outgoing.close()
        if uids.is_storage(outgoing.sop_class_uid):
            by_class.setdefault(outgoing.sop_class_uid, []).append(item)
        else:
            shipment.missed(item.number, f"unknown storage SOP class in file: {item.path}: {outgoing.sop_class_uid}")
    if not by_class:
        raise Ended("no input files to be sent", FAILED)
    return by_class


# What an association carries


def _legs(proposed: Proposed, items: list[Item], shipment: Shipment) -> Iterator[Leg]:
    """What is proposed, and what is sent then; SOP Classes that need more contexts come later. Raises Ended."""
    lists = store_scu.syntax_lists(PROPOSE[proposed.preset], is_combined=proposed.is_combined)
    if proposed.only_required:
        waiting = _by_sop_class(shipment.asked.files, items, shipment)
    else:
        usual, contexts = next(store_scu.portions(USUAL_SOP_CLASSES, lists))
        yield Leg(Terms(contexts), items, frozenset(usual))
        waiting = shipment.waiting
    for sop_classes, contexts in store_scu.portions(waiting, lists):
        members = (item for sop_class in sop_classes for item in waiting[sop_class])
        yield Leg(Terms(contexts), sorted(members, key=lambda item: item.number))


def _carry(shipment: Shipment, legs: Iterator[Leg]) -> None:
    """One leg after the other; raises Ended where there can be no association for the first one."""
    sending = Sending(shipment)
    is_first = True
    for leg in legs:
        try:
            sending.carry(leg)
        except Ended as ended:
            if is_first:
                raise
            log.error("%s", ended)
            shipment.fail_rest(ended.code)
        if shipment.is_halted:
            return
        is_first = False
