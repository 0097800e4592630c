import population


def people(seed="s", all_of_them=1000, present=800):
    return population.Population(seed, [f"{n:040X}" for n in range(all_of_them)], present, "0.4.9.11")


def test_a_seed_gives_the_same_network_and_the_same_churn():
    a, b, other = people(), people(), people("t")
    assert a.relays == b.relays and a.relays != other.relays
    assert [a.step() for _ in range(5)] == [b.step() for _ in range(5)] and a.relays == b.relays


def test_each_has_an_address_of_its_own_that_nobody_real_has():
    relays = people(all_of_them=70000, present=70000).relays
    addresses = {r.address for r in relays}
    assert len(addresses) == len(relays)
    for address in addresses:
        parts = [int(p) for p in address.split(".")]
        assert parts[0] == 127 and parts[1] >= 1 and max(parts) < 255 and parts[3] >= 1


def test_families_are_mutual():
    p = people()
    by_print = {f"${f}": r for f, r in zip(p.fingerprints, p.relays)}
    named = [r for r in p.relays if r.family]
    assert len(named) > 200
    for r in named:
        assert all(f"${p.fingerprints[r.number]}" in by_print[other].family.split() for other in r.family.split())


def test_churn_is_about_what_it_says():
    p, published = people(all_of_them=2000, present=1000), 0
    for _ in range(40):
        before = [r.ntor_seed for r in p.relays], [r.bandwidth for r in p.relays], p.present
        changed = p.step()
        published += len(changed)
        new_keys = {n for n in range(2000) if p.relays[n].ntor_seed != before[0][n]}
        assert new_keys <= set(changed) and set(range(before[2], p.present)) <= set(changed)
        assert max(changed) < p.present
    assert 40 * 1000 * 0.06 < published < 40 * 1000 * 0.09
    assert 1080 < p.present < 1180


def test_nobody_joins_who_has_no_keys():
    p = people(all_of_them=803)
    for _ in range(20):
        p.step()
    assert p.present == 803


def test_the_bandwidth_file_has_those_that_take_part():
    rows = people(all_of_them=30, present=20).bandwidth_file(1234.5).splitlines()
    assert rows[0] == "1234" and len(rows) == 21 and all(" bw=" in r for r in rows[1:])


def test_tor_takes_each_bandwidth():
    """Rate and burst of a descriptor are numbers of 31 bits; one that is larger is refused, and the relay never listed."""
    p = people("4", all_of_them=8000, present=8000)
    assert 500000 < max(r.bandwidth for r in p.relays) < 2**31 / 1500
