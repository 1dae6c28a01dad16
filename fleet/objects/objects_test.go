package objects_test

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	_ "github.com/mattn/go-sqlite3"
	_ "gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/s3blob"

	_ "hotswap/fleet/objects"
	"hotswap/internal/engine"
	"hotswap/internal/engine/enginetest"
	"hotswap/internal/repository"
	"hotswap/internal/testenv"
)

func TestMain(m *testing.M) {
	testenv.NoPeers()
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"} {
		os.Setenv(name, value)
	}
	os.Exit(m.Run())
}

// s3 is a server in this process; forbid has it refuse everything.
func s3(t *testing.T, forbid *atomic.Bool) (url string) {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("chunks"); err != nil {
		t.Fatal(err)
	}
	serve := gofakes3.New(backend).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if forbid.Load() {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusForbidden)
			w.Write([]byte(`<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`))
			return
		}
		serve.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return "s3://chunks?region=eu-central-1&use_path_style=true&disable_https=true&endpoint=" + server.URL
}

func database(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

// fetched is what a version is.
func fetched(r *repository.Repository, p repository.Published, dir string) ([]byte, error) {
	f, err := os.CreateTemp(dir, "")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := r.Fetch(context.Background(), p, f, nil, nil); err != nil {
		return nil, err
	}
	return os.ReadFile(f.Name())
}

// grow makes each object in a directory larger than one can be.
func grow(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			err = os.Truncate(path, 1<<30)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestVersionsInObjectStorage(t *testing.T) {
	for name, url := range map[string]func(*testing.T, *atomic.Bool) string{
		"s3": s3,
		"file": func(t *testing.T, _ *atomic.Bool) string {
			return "file://" + t.TempDir() + "?no_tmp_dir=true&metadata=skip"
		},
	} {
		t.Run(name, func(t *testing.T) {
			var forbid atomic.Bool
			at := url(t, &forbid)
			server := enginetest.Start(t)
			r, err := repository.Open(t.Context(), enginetest.Connect(t, engine.Config{URL: server.ClientURL()}), nil)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			path := filepath.Join(dir, "new.sqlite3")
			database(t, path, `CREATE TABLE item (id INTEGER PRIMARY KEY, body TEXT);
				WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i+1 FROM n WHERE i < 5000)
				INSERT INTO item SELECT i, hex(randomblob(100)) FROM n`)
			var last repository.Publication
			for range 3 {
				database(t, path, "UPDATE item SET body = 'new' WHERE id % 1000 = abs(random()) % 1000")
				if last, err = r.Publish(t.Context(), "catalog", path, repository.PublishOptions{Objects: at}); err != nil {
					t.Fatal(err)
				}
			}
			if last.Sent.Bytes*4 > last.Size {
				t.Errorf("%d bytes were written for a change of a few rows", last.Sent.Bytes)
			}
			done, err := r.GC(t.Context(), repository.GCOptions{Keep: 1})
			if err != nil || done.Chunks == 0 || len(done.Retired) != 2 {
				t.Errorf("collected %+v, %v", done, err)
			}
			if content, err := fetched(r, last.Published, dir); err != nil || int64(len(content)) != last.Size {
				t.Errorf("fetched %d bytes, %v", len(content), err)
			}
			if name != "s3" {
				grow(t, strings.TrimPrefix(strings.Split(at, "?")[0], "file://"))
				if _, err := fetched(r, last.Published, dir); !errors.Is(err, repository.ErrChunk) || !strings.Contains(err.Error(), "too many") {
					t.Errorf("fetched although the objects are too large: %v", err)
				}
				return
			}
			forbid.Store(true)
			if _, err := fetched(r, last.Published, dir); !errors.Is(err, repository.ErrObjectsForbidden) || !strings.Contains(err.Error(), "s3://chunks") {
				t.Errorf("fetched although it is forbidden: %v", err)
			}
		})
	}
}

func TestAStorageThatNobodyKnows(t *testing.T) {
	server := enginetest.Start(t)
	r, err := repository.Open(t.Context(), enginetest.Connect(t, engine.Config{URL: server.ClientURL()}), nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "new.sqlite3")
	database(t, path, "CREATE TABLE item (id INTEGER PRIMARY KEY)")
	_, err = r.Publish(t.Context(), "catalog", path, repository.PublishOptions{Objects: "gs://chunks"})
	if !errors.Is(err, repository.ErrNoObjects) || !strings.Contains(err.Error(), "it has to import gocloud.dev/blob/gcsblob") { // a node that tried again would do so for ever
		t.Errorf("published: %v", err)
	}
}

// TestACollectionLeavesNoEmptyDirectories in a bucket that is one.
func TestACollectionLeavesNoEmptyDirectories(t *testing.T) {
	for name, prefix := range map[string]string{"whole": "", "with a prefix": "&prefix=fleets/ours/"} {
		t.Run(name, func(t *testing.T) {
			bucket := t.TempDir()
			r, err := repository.Open(t.Context(), enginetest.Connect(t, engine.Config{URL: enginetest.Start(t).ClientURL()}), nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, table := range []string{"a", "b"} { // they have nothing in common
				path := filepath.Join(t.TempDir(), "new.sqlite3")
				database(t, path, "CREATE TABLE "+table+" AS SELECT randomblob(100000)")
				if _, err := r.Publish(t.Context(), "catalog", path, repository.PublishOptions{Objects: "file://" + bucket + "?no_tmp_dir=true" + prefix}); err != nil {
					t.Fatal(err)
				}
			}
			if done, err := r.GC(t.Context(), repository.GCOptions{Keep: 1}); err != nil || len(done.Retired) != 1 {
				t.Fatalf("%+v, %v", done, err)
			}
			versions := 0
			err = filepath.WalkDir(bucket, func(path string, entry os.DirEntry, err error) error {
				if err != nil || !entry.IsDir() {
					return err
				}
				if strings.HasPrefix(filepath.Base(filepath.Dir(path)), "catalog") {
					versions++
				}
				inside, err := os.ReadDir(path)
				if len(inside) == 0 {
					t.Errorf("%s is empty", path)
				}
				return err
			})
			if err != nil || versions != 1 {
				t.Errorf("%d directories of versions: %v", versions, err)
			}
		})
	}
}
