"""How many associations a service holds, over all its workers: in all, at a title, of a caller, and who stores."""

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from archive.server.occupancy import Occupancy, Places, Token
from archive.services.places import Place, Wanted


def wanted(called: str = "ARCHIVE", calling: str = "CT1", *, stores: bool = False, **limits: Any) -> Wanted:
    return Wanted(called, calling, stores, **limits)


def take(places: Places, wish: Wanted | None = None) -> Token:
    """A place that must be there."""
    place, token = places.take(wish or wanted())
    assert place is Place.TAKEN
    assert token is not None
    return token


def in_another_process(work: Callable[[], bool]) -> bool:
    """What a worker in a process of its own says before it dies with all it holds."""
    child = os.fork()
    if child == 0:
        code = 2
        try:
            code = 0 if work() else 1
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def test_the_service_is_never_overfilled_however_many_reach_for_a_place():
    occupancy = Occupancy(workers=1, most=10)
    places = Places(occupancy, worker=0)
    taken: list[Place] = []
    threads = [threading.Thread(target=lambda: taken.append(places.take(wanted())[0])) for _ in range(40)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert taken.count(Place.TAKEN) == 10
    assert taken.count(Place.SERVICE_FULL) == 30
    assert occupancy.total() == 10


def test_a_limit_of_a_title_holds_exactly_when_processes_reach_for_the_last_places_at_once():
    occupancy = Occupancy(workers=4, most=100)
    started, go = os.pipe()
    children = []
    for worker in range(4):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(started, 1)  # the end: all at once
            places = Places(occupancy, worker)
            taken = sum(places.take(wanted(most_at_title=10))[0] is Place.TAKEN for _ in range(20))
            os._exit(taken)
        children.append(child)

    os.close(go)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    os.close(started)

    assert sum(codes) == occupancy.total() == 10


def test_a_place_given_back_can_be_taken_again():
    places = Places(Occupancy(workers=1, most=1), worker=0)
    token = take(places)
    assert places.take(wanted()) == (Place.SERVICE_FULL, None)

    token.give_back()

    take(places)


def test_the_places_of_a_dead_worker_are_free_again():
    occupancy = Occupancy(workers=2, most=2)
    theirs = Places(occupancy, worker=1)
    assert in_another_process(lambda: bool(take(theirs) and take(theirs)))
    ours = Places(occupancy, worker=0)
    assert ours.take(wanted())[0] is Place.SERVICE_FULL

    occupancy.clear(1)

    take(ours)


def test_a_limit_of_a_title_is_about_that_title():
    places = Places(Occupancy(workers=2, most=10), worker=1)
    first = take(places, wanted("A", most_at_title=1))

    assert places.take(wanted("A", "OTHER", most_at_title=1))[0] is Place.TITLE_FULL
    take(places, wanted("B", most_at_title=1))

    first.give_back()
    take(places, wanted("A", most_at_title=1))


def test_a_limit_of_a_caller_is_about_that_caller_at_that_title():
    places = Places(Occupancy(workers=1, most=10), worker=0)
    take(places, wanted("A", "CT1", most_of_caller=1))

    assert places.take(wanted("A", "CT1", most_of_caller=1))[0] is Place.CALLER_FULL
    take(places, wanted("A", "CT2", most_of_caller=1))
    take(places, wanted("B", "CT1", most_of_caller=1))


def test_one_may_store_while_no_other_at_the_title_may_in_whatever_worker():
    occupancy = Occupancy(workers=2, most=10)
    theirs, ours = Places(occupancy, worker=0), Places(occupancy, worker=1)
    alone = wanted(stores=True, stores_alone=True)
    first = take(theirs, wanted(stores=True))

    place, token = ours.take(alone)
    assert place is Place.TAKEN_WITHOUT_STORE
    assert ours.take(wanted("OTHER", stores=True, stores_alone=True))[0] is Place.TAKEN

    first.give_back()
    take(ours, alone)
    assert token is not None
    token.give_back()
    assert theirs.take(alone)[0] is Place.TAKEN_WITHOUT_STORE


def test_who_does_not_store_keeps_nobody_from_storing():
    places = Places(Occupancy(workers=1, most=10), worker=0)
    take(places, wanted(stores=False, stores_alone=True))

    take(places, wanted(stores=True, stores_alone=True))


def test_places_given_back_in_any_order_leave_the_right_ones():
    occupancy = Occupancy(workers=1, most=10)
    places = Places(occupancy, worker=0)
    tokens = {calling: take(places, wanted(calling=calling)) for calling in ("A", "B", "C", "D")}

    for calling in ("B", "D", "A"):
        tokens[calling].give_back()

    assert occupancy.total() == 1
    assert places.take(wanted(calling="C", most_of_caller=1))[0] is Place.CALLER_FULL
    take(places, wanted(calling="B", most_of_caller=1))


def test_a_worker_killed_while_it_holds_the_lock_holds_up_nobody():
    occupancy = Occupancy(workers=2, most=2)
    ready, say_ready = os.pipe()
    child = os.fork()
    if child == 0:
        with occupancy.locked():
            os.write(say_ready, b"\0")
            signal.pause()
    os.read(ready, 1)

    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

    take(Places(occupancy, worker=0))
