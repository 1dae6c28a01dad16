package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/internal/testenv"
)

func TestAFileThatAProgramOpensByAnotherDriverIsSaidToBe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := neitherManaged(side{arg: "new.db", path: "new.db"}, side{arg: "app.db", path: path}, false, nil)
	if hint := hintOf(err); strings.Contains(hint, "is open in") {
		t.Errorf("nothing has it open: %s", hint)
	}
	program := testenv.StartWith(t, "cat", "<>", path)
	err = neitherManaged(side{arg: "new.db", path: "new.db"}, side{arg: "app.db", path: path}, false, nil)
	if hint, want := hintOf(err), fmt.Sprintf("app.db is open in process %d (cat)", program.Process.Pid); !strings.Contains(hint, want) {
		t.Errorf("it says %s, and not %s", hint, want)
	}
}

func hintOf(err error) string {
	var f *failure
	errors.As(err, &f)
	return f.hint
}
