"""What a run of the lab is told by its environment (LAB_MINUTES=30 and so on). Pure; a mistake is a ValueError with a
sentence for the one who typed it."""

import dataclasses
import fnmatch
import re

# Every library as it is shipped beside its settings: twins in the same run; and a relay that counts live bytes.
DEFAULT_GROUPS = {
    "bookworm": "glibc jemalloc mimalloc tcmalloc glibc-tuned jemalloc-tuned jemalloc-decay mimalloc-tuned tcmalloc-tuned live",
    "trixie": "glibc jemalloc mimalloc3 tcmalloc glibc-tuned jemalloc-tuned jemalloc-decay mimalloc3-purge tcmalloc-tuned live",
    "noble": "glibc jemalloc mimalloc tcmalloc glibc-tuned jemalloc-tuned jemalloc-decay mimalloc-tuned tcmalloc-tuned live",
}
HUGE_PAGES = ("always", "madvise", "never")
MOST_RELAYS = 40  # users that a machine's root has
# Connections of a wave: to each relay, and to all of them, as the processors are the same for few and for many.
MOST_CLIENTS, MOST_OF_ALL = 200, 2400


@dataclasses.dataclass(frozen=True)
class Settings:
    release: str
    minutes: float
    groups: tuple  # names of allocators, one a group
    allocators: str  # text for the configuration: those that are not built in
    relays: int  # under test
    network: int  # synthetic relays
    cpus: int  # tor's NumCPUs
    seed: str
    clients: int  # connections of a wave, to each relay
    interval: int  # seconds from one consensus to the next
    consensuses: int  # that a relay keeps to make diffs from, of each flavour
    libraries: tuple = ()  # (suite, package) of those that come from another release
    huge_pages: str = ""  # what the kernel of the whole machine is to do meanwhile; "": what it does

    @property
    def seconds(self):
        return self.minutes * 60

    @property
    def ramp(self):
        """Seconds in which the work itself grows: until the caches hold as many consensuses as they keep."""
        return self.consensuses * self.interval


def _number(environment, name, default, least, most, kind=int):
    text = environment.get(name) or str(default)
    try:
        number = kind(text)
    except ValueError:
        number = None
    if number is None or not least <= number <= most:
        raise ValueError(f"{name} is a number from {least} to {most}, not '{text}'")
    return number


def _interval(network):
    """What three authorities on two busy cores get done; it has to divide a day."""
    for most, seconds in ((500, 20), (2000, 60)):
        if network <= most:
            return seconds
    return 120


def names_in(allocators):
    """Of the allocators that the text of a configuration defines, in their order."""
    text = re.sub(r"^\s*(#|//).*$", "", allocators, flags=re.M)
    return [name for name in re.findall(r"([A-Za-z][A-Za-z0-9_-]*)\s*[=:]\s*\{", text) if name not in ("allocators", "environment")]


def _groups(words, allocators):
    """Those words, but for one with a star the names of the allocators for which it stands."""
    groups = []
    for word in words:
        found = fnmatch.filter(names_in(allocators), word) if "*" in word else [word]
        if not found:
            raise ValueError(f"LAB_GROUPS: '{word}' stands for no allocator of LAB_ALLOCATORS")
        groups += found
    return tuple(groups)


def from_environment(environment, host_release, read_file):
    """read_file(PATH) gives the text of LAB_ALLOCATORS."""
    release = environment.get("LAB_RELEASE") or host_release
    if release not in DEFAULT_GROUPS:
        raise ValueError(f"LAB_RELEASE is one of {', '.join(sorted(DEFAULT_GROUPS))}, not '{release}'")
    allocators = environment.get("LAB_ALLOCATORS") or ""
    allocators = read_file(allocators) if allocators else ""
    groups = _groups(re.split(r"[\s,]+", (environment.get("LAB_GROUPS") or DEFAULT_GROUPS[release]).strip()), allocators)
    for name in groups:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
            raise ValueError(f"LAB_GROUPS has names of allocators, separated by spaces; '{name}' is none")
    if len(set(groups)) != len(groups):
        raise ValueError("LAB_GROUPS names an allocator twice; LAB_RELAYS= says how many relays share the groups")
    libraries = tuple(tuple(word.split("/", 1)) for word in re.split(r"[\s,]+", (environment.get("LAB_LIBRARIES") or "").strip()) if word)
    for words in libraries:
        if len(words) != 2 or not all(re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", word) for word in words):
            raise ValueError(f"LAB_LIBRARIES has packages as SUITE/PACKAGE, separated by spaces; '{'/'.join(words)}' is none")
    huge_pages = environment.get("LAB_HUGE_PAGES") or ""
    if huge_pages and huge_pages not in HUGE_PAGES:
        raise ValueError(f"LAB_HUGE_PAGES is one of {', '.join(HUGE_PAGES)}, not '{huge_pages}'")
    relays = _number(environment, "LAB_RELAYS", max(12, len(groups)), 1, MOST_RELAYS)
    if relays < len(groups):
        raise ValueError(f"{len(groups)} groups need LAB_RELAYS={len(groups)} or more, not {relays}")
    network = _number(environment, "LAB_NETWORK", 8000, 20, 20000)
    return Settings(
        release=release, minutes=_number(environment, "LAB_MINUTES", 30, 0.5, 7 * 24 * 60, float), groups=groups,
        allocators=allocators, relays=relays, network=network,
        cpus=_number(environment, "LAB_CPUS", 16, 1, 128), seed=environment.get("LAB_SEED") or "1",
        clients=_number(environment, "LAB_CLIENTS", min(MOST_CLIENTS, MOST_OF_ALL // relays), 1, 5000),
        interval=_number(environment, "LAB_INTERVAL", _interval(network), 10, 3600),
        consensuses=_number(environment, "LAB_CONSENSUSES", 12, 1, 72), libraries=libraries, huge_pages=huge_pages)
