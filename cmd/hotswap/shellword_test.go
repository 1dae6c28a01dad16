package main

import (
	"os/exec"
	"testing"
)

func TestAShellTakesANameForItself(t *testing.T) {
	for _, name := range []string{"live.db", "live.db.~1~", "a b", "`id`", "$HOME", "it's", "-rf", "-", "~", "a;b", `a\b`, "", "ünï"} {
		want := name
		if name != "" && (name[0] == '-' || name[0] == '~') {
			want = "./" + name
		}
		if got, err := exec.Command("sh", "-c", "printf %s "+shellWord(name)).Output(); err != nil || string(got) != want {
			t.Errorf("%q as %s: %q, %v", name, shellWord(name), got, err)
		}
	}
}
