package sockserver

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"hotswap/internal/testenv"
)

// TestASocketThatIsRemovedIsMadeAgain, whatever goes with it, and is removed at the end.
func TestASocketThatIsRemovedIsMadeAgain(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(dir string) error{
		"socket": func(dir string) error { return os.Remove(filepath.Join(dir, "s")) },
		"socket and lock": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "s")), os.Remove(filepath.Join(dir, "s.lock")))
		},
		"directory": os.RemoveAll,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(shortDir(t), "d")
			s, err := Start(Config{SocketPath: dir + "/s", StderrSocketPath: dir + "/e"})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			before := newTestClient(t, s)
			if _, err := before.Version(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := remove(dir); err != nil {
				t.Fatal(err)
			}
			testenv.Eventually(t, func() error {
				c := NewClient(ClientConfig{SocketPath: dir + "/s", StderrSocketPath: dir + "/e"})
				defer c.Close()
				_, err := c.Version(t.Context())
				return err
			})
			if _, err := before.Version(t.Context()); err != nil {
				t.Errorf("a client from before: %v", err)
			}
			if _, err := Start(Config{SocketPath: dir + "/s", StderrSocketPath: dir + "/e2"}); !errors.Is(err, ErrInUse) {
				t.Errorf("another server there: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("%v are left, %v", left, err)
			}
		})
	}
}

// TestASocketThatIsRemovedAndTakenByAnotherServerStaysThatOnes, until it ends.
func TestASocketThatIsRemovedAndTakenByAnotherServerStaysThatOnes(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	first, err := Start(Config{SocketPath: dir + "/s", StderrSocketPath: dir + "/e"})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	first.socket.mu.Lock() // it does not notice yet
	if err := errors.Join(os.Remove(dir+"/s"), os.Remove(dir+"/s.lock")); err != nil {
		t.Fatal(err)
	}
	second, err := Start(Config{SocketPath: dir + "/s", StderrSocketPath: dir + "/e2"})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	first.socket.mu.Unlock()
	first.socket.relisten()
	if info, err := os.Lstat(dir + "/s"); err != nil || !os.SameFile(info, second.socket.listener.made) {
		t.Errorf("%v, %v", info, err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	testenv.Until(t, "the first is back", func() bool { _, err := os.Lstat(dir + "/s"); return err == nil })
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}
