"""The memory of verified tokens."""

import threading

from api.oauth.cache import RecentlyUsed


def test_the_one_not_used_for_longest_goes_first():
    memory = RecentlyUsed(2)
    memory.put(b"a", 1)
    memory.put(b"b", 2)
    assert memory.get(b"a") == 1
    memory.put(b"c", 3)
    assert (memory.get(b"a"), memory.get(b"b"), memory.get(b"c")) == (1, None, 3)


def test_a_value_can_be_replaced_and_dropped():
    memory = RecentlyUsed(2)
    memory.put(b"a", 1)
    memory.put(b"a", 2)
    assert memory.get(b"a") == 2
    memory.drop(b"a")
    memory.drop(b"a")
    assert memory.get(b"a") is None


def test_it_stays_within_its_size_under_many_threads():
    memory = RecentlyUsed(50)

    def work(start):
        for number in range(start, start + 500):
            memory.put(b"%d" % number, number)
            assert memory.get(b"%d" % number) in (number, None)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 4000, 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(memory.get(b"%d" % number) is not None for number in range(4000)) == 50
