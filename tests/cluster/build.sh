#!/bin/sh
# Builds programs of the real control plane from their Go modules, once, into a cache outside the clone.
#
#   tests/cluster/build.sh kubectl     # prints the path of the program on standard output
#
# The cache is ${XDG_CACHE_HOME:-$HOME/.cache}/pipewright/kube-<hash of go.mod and go.sum>/; a changed module is a new
# folder. A cold build of kubectl downloads 190 MB and takes about half a minute of CPU time. GOFLAGS, GOPROXY and the
# other variables of the go command are honoured.
set -eu

usage() {
    echo "usage: $0 kubectl" >&2
    exit 2
}

[ $# -eq 1 ] || usage
case $1 in
    kubectl) package=k8s.io/kubernetes/cmd/kubectl ;;
    *) usage ;;
esac

here=$(cd "$(dirname "$0")" && pwd)
module=$here/kube
version=$(sed -n 's/.*k8s\.io\/kubernetes v\([0-9.]*\).*/\1/p' "$module/go.mod" | head -n 1)
key=$(cat "$module/go.mod" "$module/go.sum" | sha256sum | cut -c 1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pipewright/kube-$key
program=$cache/$1

if [ -x "$program" ]; then
    echo "$1 $version is in the cache" >&2
    echo "$program"
    exit 0
fi

command -v go >/dev/null || { echo "go is not installed; it builds $1 $version from k8s.io/kubernetes" >&2; exit 1; }
mkdir -p "$cache"
# Two builds at once must not leave half a program behind: build beside it, then rename.
unfinished=$program.$$
trap 'rm -f "$unfinished"' EXIT
minor=${version#*.}
minor=${minor%%.*}
base=k8s.io/component-base/version
echo "building $1 $version with $(go env GOVERSION) into $cache" >&2
(
    cd "$module"
    go mod download >&2
    echo "modules are here, compiling" >&2
    # Without these the programs call themselves v0.0.0-master+$Format:%H$, which others refuse to parse.
    CGO_ENABLED=0 go build -mod=readonly -trimpath -o "$unfinished" \
        -ldflags "-s -w -X $base.gitVersion=v$version -X $base.gitMajor=${version%%.*} -X $base.gitMinor=$minor \
-X $base.gitCommit=0000000 -X $base.gitTreeState=clean -X $base.buildDate=1970-01-01T00:00:00Z" \
        "$package"
)
mv "$unfinished" "$program"
trap - EXIT
echo "built $1 $version" >&2
echo "$program"
