package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestTheWayBackPassesTwoShells: the one here, and the one there, as ssh runs it.
func TestTheWayBackPassesTwoShells(t *testing.T) {
	const path = "/srv/it's $HOME/live db"
	t.Setenv(envSSH, `f() { shift; sh -c "$*"; }; f`)
	t.Setenv(envRemote, `printf '%s|'`)
	l := &link{to: address{host: "prod"}, socket: "/run/a b.sock"}
	out, err := exec.Command("sh", "-c", l.backTo(path+"~", path)).Output()
	want := strings.Join([]string{"cp", "--backup=existing", "--socket", "/run/a b.sock", path + "~", path}, "|") + "|"
	if err != nil || string(out) != want {
		t.Errorf("%q, %v, and not %q", out, err, want)
	}
}
