package swapper_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"hotswap/driver"
	"hotswap/swapper"
)

// TestAFileRemovedUnderAPullIsBegunAnewOnceThatHasEnded: until then the pool that asks for
// it waits, or is told why it can't; and no error of SQLite's about the file that is gone
// reaches it.
func TestAFileRemovedUnderAPullIsBegunAnewOnceThatHasEnded(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"WAL", "DELETE"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := start(t, t.TempDir(), "&_journal="+mode)
			out, in := io.Pipe()
			ended := make(chan error, 1)
			go func() {
				_, err := swapper.Pull(context.Background(), s.db, in, swapper.PullOptions{})
				in.CloseWithError(err)
				ended <- err
			}()
			if _, err := out.Read(make([]byte, 1)); err != nil { // the copy is being sent
				t.Fatal(err)
			}
			for _, suffix := range []string{"", "-wal", "-shm"} {
				os.Remove(s.path + suffix)
			}
			again, err := sql.Open(driver.Name, "file:"+s.path+"?_busy_timeout=500&_journal="+mode)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			began := again.Ping()
			if began != nil && (!errors.Is(began, driver.ErrReplaced) || strings.Contains(began.Error(), "disk I/O")) {
				t.Errorf("during the pull: %v", began)
			}
			go io.Copy(io.Discard, out)
			if err := <-ended; err != nil {
				t.Logf("the pull: %v", err)
			}
			if _, err := again.Exec("CREATE TABLE u (v)"); err != nil {
				t.Errorf("after it: %v", err)
			}
		})
	}
}

// TestAFileRemovedBetweenPushesAndPullsIsBegunAnew, again and again, with both going on.
func TestAFileRemovedBetweenPushesAndPullsIsBegunAnew(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "")
	next := source(t, "new")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if i%20 == 0 {
				swapper.Push(context.Background(), s.db, bytes.NewReader(next), swapper.PushOptions{SkipSchemaCheck: true})
			} else {
				swapper.Pull(context.Background(), s.db, io.Discard, swapper.PullOptions{})
			}
		}
	}()
	for range 10 {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			os.Remove(s.path + suffix)
		}
		again, err := sql.Open(driver.Name, "file:"+s.path+"?_journal=WAL")
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		for range 3 {
			if _, err := again.Exec("CREATE TABLE IF NOT EXISTS u (v)"); err != nil {
				t.Error(err)
			}
		}
	}
	close(stop)
	<-stopped
}
