import libraries

MAPS = """7f00-7f01 r-xp 00000000 00:21 1   /usr/lib/x86_64-linux-gnu/libc.so.6
7f02-7f03 r-xp 00000000 00:21 2   {}
"""


def test_the_library_that_serves_a_process():
    for path in ("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", "/usr/local/lib/relayalloc-lab/sid-libmimalloc3/libmimalloc.so.3",
                 "/usr/lib/x86_64-linux-gnu/libtcmalloc.so.4.5.10"):
        assert libraries.mapped_in(MAPS.format(path)) == path
    assert libraries.mapped_in(MAPS.format("/usr/lib/x86_64-linux-gnu/libz.so.1")) == "/usr/lib/x86_64-linux-gnu/libc.so.6"


def test_versions_are_those_of_the_makers():
    assert [libraries.upstream(v) for v in ("3.6.0+ds-1", "2:5.3.0-3", "2.41-12+deb13u5")] == ["3.6.0", "5.3.0", "2.41"]


def test_a_library_of_another_release_says_its_version_itself():
    path = libraries.FOLDER + "/sid-libmimalloc3/libmimalloc.so.3"
    assert libraries.version(None, MAPS.format(path), {libraries.FOLDER + "/sid-libmimalloc3": "3.6.0+ds-1"}) == "3.6.0"
