#!/bin/sh
# Builds programs of the real control plane from their Go modules, once, into a cache outside the clone.
#
#   tests/cluster/build.sh kubectl           # one program; prints its path on standard output
#   tests/cluster/build.sh control-plane     # all that the tests on a real cluster need; prints their paths
#   tests/cluster/build.sh triggers          # the peer of the benchmark
#   tests/cluster/build.sh forge             # Gitea, which needs a C compiler for its SQLite
#
# The cache is ${XDG_CACHE_HOME:-$HOME/.cache}/pipewright/<module>-<hash of go.mod and go.sum>/; a changed module is a new
# folder. Beside its programs, a module of Tekton has its `config` folder there: CRDs, RBAC, ConfigMaps, webhooks.
# All of the control plane takes about six minutes on two cores from cold, and no time when it is there.
# GOFLAGS, GOPROXY and the other variables of the go command are honoured.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
caches=${XDG_CACHE_HOME:-$HOME/.cache}/pipewright
control_plane="etcd kube-apiserver kube-controller-manager kube-scheduler kubectl kwok tekton-controller tekton-webhook tekton-events"
triggers="triggers-sink triggers-interceptors"
forge="gitea"

usage() {
    echo "usage: $0 control-plane | triggers | forge | <program>...; programs: $control_plane $triggers $forge" >&2
    exit 2
}

# The module and the package of a program.
locate() {
    case $1 in
        etcd) module=etcd package=go.etcd.io/etcd/server/v3 ;;
        kube-apiserver | kube-controller-manager | kube-scheduler | kubectl) module=kube package=k8s.io/kubernetes/cmd/$1 ;;
        kwok) module=kwok package=sigs.k8s.io/kwok/cmd/kwok ;;
        tekton-controller | tekton-webhook | tekton-events) module=pipeline package=github.com/tektoncd/pipeline/cmd/${1#tekton-} ;;
        triggers-sink) module=triggers package=github.com/tektoncd/triggers/cmd/eventlistenersink ;;
        gitea) module=gitea package=code.gitea.io/gitea ;;
        triggers-interceptors) module=triggers package=github.com/tektoncd/triggers/cmd/interceptors ;;
        *) echo "there is no program $1" >&2; usage ;;
    esac
    key=$(cat "$here/$module/go.mod" "$here/$module/go.sum" | sha256sum | cut -c 1-16)
    cache=$caches/$module-$key
}

# The programs of Kubernetes call themselves v0.0.0-master+$Format:%H$ unless told otherwise, which Tekton refuses to parse.
link_flags() {
    printf -- '-s -w'
    case $module in
        gitea)
            version=$(sed -n 's/.*code\.gitea\.io\/gitea v\([0-9.]*\).*/\1/p' "$here/gitea/go.mod" | head -n 1)
            printf -- ' -X main.Version=%s -X "main.Tags=%s"' "$version" "$tags"
            return 0 ;;
        kube) ;;
        *) return 0 ;;
    esac
    version=$(sed -n 's/.*k8s\.io\/kubernetes v\([0-9.]*\).*/\1/p' "$here/kube/go.mod" | head -n 1)
    minor=${version#*.}
    base=k8s.io/component-base/version
    printf -- ' -X %s' "$base.gitVersion=v$version" "$base.gitMajor=${version%%.*}" "$base.gitMinor=${minor%%.*}" \
        "$base.gitCommit=0000000" "$base.gitTreeState=clean" "$base.buildDate=1970-01-01T00:00:00Z"
}

# The programs of Tekton listen on all interfaces, and each wants the port 8080 for a health server that nobody asks; where
# that is taken, the process goes on half alive. The sources stay as they are, but are compiled with a `net/http` that turns
# `:8080` into any free port, and every address without a host into one of the loopback interface.
overlay() {
    server=$(go env GOROOT)/src/net/http/server.go
    listen='ln, err := net.Listen("tcp", addr)'
    confined='if addr == ":8080" { addr = ":0" }; if strings.HasPrefix(addr, ":") { addr = "127.0.0.1" + addr }'
    sed "s/$listen/$confined; $listen/" "$server" > "$cache/server.go"
    [ "$(grep -c 127.0.0.1 "$cache/server.go")" -ge 2 ] || {
        echo "$1 would listen on all interfaces: $server is not as expected" >&2
        exit 1
    }
    printf '{"Replace": {"%s": "%s"}}\n' "$server" "$cache/server.go" > "$cache/overlay.json"
}

# Two builds at once must not leave half a program behind: build beside it, then rename.
build() {
    command -v go >/dev/null || { echo "go is not installed; it builds $1 from $package" >&2; exit 1; }
    mkdir -p "$cache"
    begin=$(date +%s)
    echo "building $1 with $(go env GOVERSION) from $package" >&2
    (
        cd "$here/$module"
        case $module in
            pipeline | triggers)
                overlay "$1"
                GOFLAGS="${GOFLAGS-} -overlay=$cache/overlay.json"
                export GOFLAGS
                ;;
        esac
        tags=''
        cgo=0
        [ "$module" != gitea ] || { tags='sqlite sqlite_unlock_notify' cgo=1; }
        CGO_ENABLED=$cgo go build -mod=readonly -trimpath -tags "$tags" -o "$cache/$1.$$" -ldflags "$(link_flags)" "$package"
    ) || { rm -f "$cache/$1.$$"; exit 1; }
    mv "$cache/$1.$$" "$cache/$1"
    echo "built $1 in $(($(date +%s) - begin)) s" >&2
}

# What Tekton's own release would apply, from the module itself.
manifests() {
    path=github.com/tektoncd/$module
    (
        cd "$here/$module"
        go mod download "$path"
        source=$(go list -m -f '{{.Dir}}' "$path")
        cp -r "$source/config" "$cache/config.$$"
    )
    chmod -R u+w "$cache/config.$$"
    mv "$cache/config.$$" "$cache/config" 2>/dev/null || rm -rf "$cache/config.$$"
}

# What Gitea reads at run time where it is built without its front end: templates, translations, licenses.
static_files() {
    (
        cd "$here/$module"
        go mod download "$package"
        source=$(go list -m -f '{{.Dir}}' "$package")
        mkdir -p "$cache/static.$$"
        cp -r "$source/templates" "$source/options" "$source/public" "$cache/static.$$"
    )
    chmod -R u+w "$cache/static.$$"
    mv "$cache/static.$$" "$cache/static" 2>/dev/null || rm -rf "$cache/static.$$"
}

[ $# -ge 1 ] || usage
case $1 in
    control-plane) set -- $control_plane ;;
    triggers) set -- $triggers ;;
    forge) set -- $forge ;;
esac
for program in "$@"; do
    locate "$program"
    if [ -x "$cache/$program" ]; then
        [ $# -gt 1 ] || echo "$program is in the cache" >&2
    else
        build "$program"
    fi
    case $module in
        pipeline | triggers) [ -d "$cache/config" ] || manifests ;;
        gitea) [ -d "$cache/static" ] || static_files ;;
    esac
    echo "$cache/$program"
done
