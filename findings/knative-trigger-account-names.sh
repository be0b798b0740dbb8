#!/usr/bin/env bash
# Knative Eventing v0.47.0: the name of the service account by whose token a Trigger shows who it is.
#
# Of a Trigger whose name has up to 29 characters it is `<name>-oidc-eventing.knative.dev-trigger`. Of a longer name, which is as valid, it
# is at most 31 characters of it and a hash: nothing in it says any more that it is for OIDC or for a Trigger. Whoever lets events in by
# `sub` cannot make the name up from that of the Trigger, but has to read `status.auth.serviceAccountName`.
. "$(dirname "$(realpath "$0")")/support.sh"

cat > main.go <<'GO'
package main

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	eventing "knative.dev/eventing/pkg/apis/eventing/v1"
	"knative.dev/eventing/pkg/auth"
)

func main() {
	for _, name := range []string{"pipewright", "builds-of-everything-at-night", "builds-of-everything-at-nights"} {
		kind := eventing.SchemeGroupVersion.WithKind("Trigger")
		account := auth.GetOIDCServiceAccountNameForResource(kind, metav1.ObjectMeta{Name: name, Namespace: "ci"})
		fmt.Println(len(name), account)
	}
}
GO

expect "$(run_go knative.dev/eventing@v0.47.0)" "10 pipewright-oidc-eventing.knative.dev-trigger
29 builds-of-everything-at-night-oidc-eventing.knative.dev-trigger
30 builds-of-everything-at-nights5a29c9ae7d7e1106aa544357e6ad8452"
