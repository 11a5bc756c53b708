"""How many associations a service holds, over all its workers."""

import os
import threading

from archive.server.occupancy import Occupancy, Places


def test_the_service_is_never_overfilled_however_many_reach_for_a_place():
    occupancy = Occupancy(workers=1, most=10)
    places = Places(occupancy, worker=0)
    taken: list[bool] = []
    threads = [threading.Thread(target=lambda: taken.append(places.take())) for _ in range(40)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert taken.count(True) == 10
    assert occupancy.total() == 10


def test_a_place_given_back_can_be_taken_again():
    places = Places(Occupancy(workers=1, most=1), worker=0)
    assert places.take()
    assert not places.take()

    places.give_back()

    assert places.take()


def test_the_places_of_a_dead_worker_are_free_again():
    occupancy = Occupancy(workers=2, most=2)
    child = os.fork()
    if child == 0:  # a worker in a process of its own, which dies with both places
        theirs = Places(occupancy, worker=1)
        os._exit(0 if theirs.take() and theirs.take() else 1)
    _, outcome = os.waitpid(child, 0)
    ours = Places(occupancy, worker=0)
    assert outcome == 0
    assert not ours.take()

    occupancy.clear(1)

    assert ours.take()
