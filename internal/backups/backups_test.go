package backups

import (
	"os"
	"path/filepath"
	"testing"
)

// TestWhatGetsANumberIsListed, whatever numbers others have given.
func TestWhatGetsANumberIsListed(t *testing.T) {
	for there, want := range map[string]int{"999999999999999": 1, "1000000000": 1, "999999998": highest, "999999999": 0, "7": 8} {
		path := filepath.Join(t.TempDir(), "live.db")
		put := func(to string) error { return os.WriteFile(to, nil, 0o600) }
		if err := put(path + ".~" + there + "~"); err != nil {
			t.Fatal(err)
		}
		made, err := Number(path, put)
		if (err != nil) != (want == 0) {
			t.Errorf("%s is there: %q, %v", there, made, err)
		}
		if err != nil {
			continue
		}
		if all, err := List(path); err != nil || len(all) == 0 || all[0].Path != made || all[0].Number != want {
			t.Errorf("%s is there: made %s, listed %+v, %v", there, made, all, err)
		}
	}
}
