package trust

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "publisher.pem")
	public, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	private, err := Read(path)
	if err != nil || !public.Equal(private.Public()) {
		t.Error(err)
	}
	if again, err := Parse(Text(public)); err != nil || !again.Equal(public) {
		t.Error(err)
	}
	if _, err := Create(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("a key was overwritten: %v", err)
	}
	for _, text := range []string{"", "ed25519:", "ed25519:AAAA", "rsa:" + Text(public)[8:]} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q is a key", text)
		}
	}
}
