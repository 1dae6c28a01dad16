package door_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
)

// TestAFileThatWasOpenBeforeTheDoorIsKnown: in a process of its own, where no door is
// installed yet.
func TestAFileThatWasOpenBeforeTheDoorIsKnown(t *testing.T) {
	if os.Getenv("DOOR_TEST_LATE") == "" {
		cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), "DOOR_TEST_LATE=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	path := filepath.Join(t.TempDir(), "a.db")
	early := open(t, path)
	mustExec(t, early, "CREATE TABLE t (x)")
	door.Install()
	defer door.Guard(path)()
	if handles := door.Open(path); len(handles) != 1 || handles[0].Opener != nil || door.File(path) != fileid.Of(path) {
		t.Fatalf("%+v", handles)
	}
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if err := open(t, path).Ping(); err == nil {
		t.Error("a second file of the path is open")
	}
	early.Close()
	if handles := door.Open(path); len(handles) != 0 {
		t.Errorf("closed, there is %+v", handles)
	}
	if err := open(t, path).Ping(); err != nil {
		t.Error(err)
	}
}
