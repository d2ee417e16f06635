#!/bin/sh
# Prints the version of Python whose set of libraries this machine runs: 3.13 or 3.12 where the C
# library is new enough for TFX 1.21's wheels and there is such a Python, else 3.11 (TFX 1.16).
set -eu
wanted=2.39
libc=$(getconf GNU_LIBC_VERSION 2> /dev/null || echo 'none 0')
if printf '%s\n' "$wanted" "${libc#* }" | sort -VC; then
    for version in 3.13 3.12; do
        if "python$version" -c '' 2> /dev/null; then
            echo "$version"
            exit
        fi
    done
fi
echo 3.11
