# Shared by the scripts of this folder and by tests/demo; sourced, not run.
# Knows the releases, their packages and where the host gets its packages from.
# shellcheck shell=bash

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=$repo/build/cache
roots=$cache/roots
machines=$repo/build/machines

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

need_root() {
    [ "$(id -u)" -eq 0 ] || die "this needs root, because it boots a container; run it as root"
}

: "${OS_RELEASE:=/etc/os-release}"
# shellcheck source=/dev/null
host_release() { (. "$OS_RELEASE" && echo "${VERSION_CODENAME:?no release code name}"); }
# shellcheck source=/dev/null
host_id() { (. "$OS_RELEASE" && echo "$ID"); }

# Both of Debian's releases come from one mirror; Ubuntu's hosts test their own.
default_releases() {
    if [ "$(host_id)" = debian ]; then echo "bookworm trixie"; else host_release; fi
}

# The libraries' package names carry sonames, which differ between releases.
packages_of_release() {
    local common=systemd,systemd-sysv,dbus,tor,adduser,iproute2,procps
    common+=,libjemalloc2,libsystemd0,libsmartcols1,libjson-c5,libncursesw6,libasan8,libubsan1
    case "$1" in
    bookworm) echo "$common,libmimalloc2.0,libgoogle-perftools4,libtcmalloc-minimal4,libconfig9" ;;
    trixie) echo "$common,libmimalloc3,libgoogle-perftools4t64,libtcmalloc-minimal4t64,libconfig11" ;;
    noble) echo "$common,libmimalloc2.0,libgoogle-perftools4t64,libtcmalloc-minimal4t64,libconfig9" ;;
    *) die "the packages of release $1 are not known here (bookworm, trixie, noble are)" ;;
    esac
}

# One for virtual machines.
kernel_of_release() {
    case "$1" in
    noble) echo linux-image-virtual ;;
    *) echo linux-image-cloud-amd64 ;;
    esac
}

# The one-line sources for a release, from the sources that apt has on this
# host; for another release the same mirrors with the other name.
apt_sources_for() {
    local release=$1 host uri suite components
    host=$(host_release)
    # shellcheck disable=SC2016 # these are apt's variables
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        sort -u |
        awk -v host="$host" -v release="$release" '
            $2 == host || $2 == host "-updates" || $2 == host "-security" {
                if ($3 !~ /^(main|universe)$/) next
                sub("^" host, release, $2)
                key = $1 " " $2
                components[key] = components[key] " " $3
            }
            END { for (key in components) print key components[key] }' |
        sort |
        while read -r uri suite components; do echo "deb $uri $suite $components"; done
}

# What apt on this host needs to reach the network at all holds for the roots too.
apt_options() {
    apt-config dump --format '%f "%v";%n' |
        grep -iE '^Acquire::(https?::Proxy|ForceIPv4|ForceIPv6|https::CAInfo)\b' || true
}
