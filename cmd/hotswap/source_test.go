package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestSourceThatChangesWhileItIsReadIsNotSent(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"written": func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1, 0)) },
		"longer":  func(path string) error { return os.Truncate(path, 10) },
		"a -wal":  func(path string) error { return os.WriteFile(path+"-wal", []byte("x"), 0o600) },
		"nothing": func(string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			if err := os.WriteFile(path, []byte("123"), 0o600); err != nil {
				t.Fatal(err)
			}
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			before, err := file.Stat()
			if err != nil {
				t.Fatal(err)
			}
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			err = (&source{name: path}).unchangedSince(file, before)
			var f *failure
			if changed := errors.As(err, &f) && f.code == exitTryAgain; changed != (name != "nothing") {
				t.Errorf("got %v", err)
			}
		})
	}
}
