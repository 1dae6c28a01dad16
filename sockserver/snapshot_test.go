package sockserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/swapper"
)

// pulling sets the operation of a pull to one that sends body.
func pulling(body []byte, then error) func(*api) {
	return func(a *api) {
		a.pull = func(_ context.Context, _ *driver.Database, dst io.Writer, opts swapper.PullOptions) (swapper.Report, error) {
			opts.Begin(int64(len(body)))
			sum := sha256.Sum256(body)
			n, err := dst.Write(body)
			return swapper.Report{Source: "näme\n", Bytes: int64(n), SHA256: hex.EncodeToString(sum[:])}, errors.Join(err, then)
		}
	}
}

func TestSnapshotComesWithItsSizeDigestAndReport(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 0)
	body := bytes.Repeat([]byte("0123456789"), 100_000)
	c := newTestClient(t, startServer(t, dir, Config{}, pulling(body, nil)))
	var got bytes.Buffer
	var size int64
	report, err := c.Snapshot(t.Context(), TheDatabase, &got, SnapshotParams{Begin: func(n int64) { size = n }})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), body) || size != int64(len(body)) || report.Source != "näme\n" || report.Bytes != size {
		t.Errorf("got %d bytes, announced %d, report %+v", got.Len(), size, report)
	}
}

func TestSnapshotThatFailsBeforeItsFirstByteHasAStatus(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 0)
	s := startServer(t, dir, Config{}, func(a *api) {
		a.pull = func(context.Context, *driver.Database, io.Writer, swapper.PullOptions) (swapper.Report, error) {
			return swapper.Report{}, swapper.ErrNotExist
		}
	})
	_, err := newTestClient(t, s).Snapshot(t.Context(), TheDatabase, io.Discard, SnapshotParams{})
	assertProblem(t, err, ProblemNotExist)
}

func TestSnapshotThatFailsOnTheWayIsCutAndTheReasonIsAStatusLine(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 0)
	c := newTestClient(t, startServer(t, dir, Config{}, pulling([]byte("half"), errors.New("the disk is on fire"))))
	sub, err := c.Subscribe(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	if _, err := c.Snapshot(t.Context(), TheDatabase, io.Discard, SnapshotParams{ID: "one"}); !errors.Is(err, ErrIncomplete) {
		t.Fatalf("got %v", err)
	}
	if line, err := sub.Next(); err != nil || line.Problem == nil || line.Problem.Detail != "the disk is on fire" {
		t.Errorf("got %+v, %v", line, err)
	}
}

func TestReaderThatStopsEndsItsSnapshot(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 0)
	ended := make(chan error, 1)
	s := startServer(t, dir, Config{StallTimeout: 20 * time.Millisecond}, func(a *api) {
		a.pull = func(_ context.Context, _ *driver.Database, dst io.Writer, opts swapper.PullOptions) (swapper.Report, error) {
			opts.Begin(0)
			_, err := io.Copy(dst, zeros{})
			ended <- err
			return swapper.Report{}, err
		}
	})
	conn := dial(t, s.SocketPath())
	fmt.Fprint(conn, "GET /v1/snapshot?path=database HTTP/1.1\r\nHost: hotswap\r\n\r\n")
	if err := <-ended; err == nil {
		t.Error("it never ended")
	}
}

func TestSlowSnapshotIsNotAStalledOne(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 0)
	s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}, StallTimeout: 400 * time.Millisecond}, func(a *api) {
		a.pull = func(_ context.Context, _ *driver.Database, dst io.Writer, opts swapper.PullOptions) (swapper.Report, error) {
			opts.Begin(0)
			hash := sha256.New()
			tick := time.NewTicker(40 * time.Millisecond)
			defer tick.Stop()
			for range 30 { // three times the limit in all
				<-tick.C
				if _, err := io.CopyN(io.MultiWriter(dst, hash), zeros{}, 64<<10); err != nil {
					return swapper.Report{}, err
				}
			}
			return swapper.Report{SHA256: hex.EncodeToString(hash.Sum(nil))}, nil
		}
	})
	if _, err := newTestClient(t, s).Snapshot(t.Context(), TheDatabase, io.Discard, SnapshotParams{}); err != nil {
		t.Fatal(err)
	}
}
