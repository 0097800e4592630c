# SPDX-License-Identifier: BSD-3-Clause
# Makes what `relayallocctl help VERB` prints out of the section VERBS of relayallocctl.1.scd: for each verb its name, its
# first line and its paragraphs, as C strings.

function plain(s) { # without scdoc's markup; "_" inside of a word is none
    gsub(/\\\*/, "\001", s)
    gsub(/\*/, "", s)
    gsub(/\001/, "*", s)
    s = " " s
    while (match(s, /[^A-Za-z0-9_]_[^_]+_/))
        s = substr(s, 1, RSTART) substr(s, RSTART + 2, RLENGTH - 3) substr(s, RSTART + RLENGTH)
    return substr(s, 2)
}

function quoted(s) {
    gsub(/\\/, "\\\\", s)
    gsub(/"/, "\\\"", s)
    gsub(/\002/, "\\n", s)
    return "\"" s "\""
}

function finish() {
    sub(/\002+$/, "", text)
    if (name != "")
        printf "{ %s, %s, %s },\n", quoted(name), quoted(plain(title)), quoted(plain(text))
    name = title = text = ""
}

/^# / { finish(); inside = /^# VERBS/ }
/^## / { finish() }
!inside || /^#/ { next }
/^\*/ {
    finish()
    title = $0
    # "*experiment* [...], *experiment* *plan*": one name is enough
    name = $1
    gsub(/[*,]/, "", name)
}
/^\t/ {
    sub(/^\t/, "")
    text = text == "" || text ~ /\002$/ ? text $0 : text " " $0
}
/^$/ { if (text != "" && text !~ /\002$/) text = text "\002\002" }
END { finish() }
