package swapper

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
)

// TestTheDigestIsOfWhatArrived although the check, which runs at the same time, makes
// the stage a file without a WAL for itself.
func TestTheDigestIsOfWhatArrived(t *testing.T) {
	t.Parallel()
	content := make([]byte, 3*copyChunk)
	copy(content, "SQLite format 3\x00")
	content[18], content[19] = 2, 2
	path := filepath.Join(t.TempDir(), "stage")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{path: path, file: file, size: int64(len(content)), digest: digestBehind(file, true)}
		changed := make(chan struct{})
		go func() {
			defer close(changed)
			if _, _, err := s.asRollback(); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait() // the header is changed, or waits
		s.digest.upTo(s.size)
		got, err := s.digest.hex(t.Context())
		if want := sha256.Sum256(content); err != nil || got != hex.EncodeToString(want[:]) {
			t.Errorf("got %s, %v", got, err)
		}
		<-changed
		if head, err := s.head(); err != nil || !bytes.Equal(head[18:20], []byte{1, 1}) {
			t.Errorf("versions %v, %v", head[18:20], err)
		}
		s.digest.stop()
	})
}
