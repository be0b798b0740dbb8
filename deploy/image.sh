#!/bin/sh
# Lays out the image: everything that it holds, in an empty folder.
#
#   deploy/image.sh target/dist/pipewright FOLDER
#
# The Dockerfile copies the folder onto nothing, and `tests/it/deploy/image.rs` runs the program in it. There is no shell and no
# package manager. The C library is glibc: musl would make one file of it all, but with it an allocation takes about ten
# times as long; and glibc linked statically cannot resolve names.
set -eu

program=$1
image=$2

mkdir -p "$image/etc/ssl/certs"
cp "$program" "$image/pipewright"
chmod 0755 "$image/pipewright"

# The loader and the libraries that the program names.
ldd "$program" | sed -n 's|^[^/]*\(/[^ ]*\) (0x[0-9a-f]*)$|\1|p' | while read -r library; do
    mkdir -p "$image$(dirname "$library")"
    cp -L "$library" "$image$library"
done
[ "$(find "$image" -name 'libc.so.*' | wc -l)" = 1 ] || { echo "the libraries of $program were not found" >&2; exit 1; }

# Sinks over TLS are trusted by the authorities of the system.
cp -L /etc/ssl/certs/ca-certificates.crt "$image/etc/ssl/certs/"
# Without it glibc asks DNS alone, and /etc/hosts counts for nothing.
echo 'hosts: files dns' > "$image/etc/nsswitch.conf"
