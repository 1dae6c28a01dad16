package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hotswap/sockserver"
)

func TestNamesAreToldFromAddressesAsScpTellsThem(t *testing.T) {
	for arg, want := range map[string]address{
		"new.db":                   {path: "new.db"},
		"./a:b":                    {path: "./a:b"},
		"/a:b":                     {path: "/a:b"},
		"a/b:c":                    {path: "a/b:c"},
		":a":                       {path: ":a"},
		"-":                        {path: "-"},
		"":                         {path: ""},
		"[x]":                      {path: "[x]"},
		"dir/[::1]:x":              {path: "dir/[::1]:x"},
		"a@b":                      {path: "a@b"},
		"prod:":                    {host: "prod", path: "."},
		"prod:/a":                  {host: "prod", path: "/a"},
		"prod:a:b":                 {host: "prod", path: "a:b"},
		"prod:-":                   {host: "prod", path: "-"},
		"me@prod:a b":              {host: "me@prod", path: "a b"},
		"[::1]:a":                  {host: "::1", path: "a"},
		"me@[fe80::1%eth0]:a":      {host: "me@fe80::1%eth0", path: "a"},
		"prod:[::1]:a":             {host: "prod", path: "[::1]:a"},
		"ssh://prod":               {host: "prod", path: "."},
		"ssh://prod/a%20b":         {host: "prod", path: "/a b"},
		"ssh://prod/~/a":           {host: "prod", path: "a"},
		"ssh://prod/~":             {host: "prod", path: "."},
		"ssh://prod/~me/a":         {host: "prod", path: "/~me/a"},
		"ssh://me@[::1]:2222/a:b":  {host: "me@::1", port: "2222", path: "/a:b"},
		"ssh://me@prod:2222/~/a/b": {host: "me@prod", port: "2222", path: "a/b"},
	} {
		want.arg = arg
		if got, err := parseAddress(arg); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", arg, got, err)
		}
	}
	for _, arg := range []string{
		"-x:a", "me@-x:a", "-me@prod:a", "ssh://-x/a", "ssh://-me@prod/a", "ssh://me@-x:1/a", "[-x]:a",
		"me@:a", " :a", "a b:c", "a\nb:c", "ssh://", "ssh:///a", "ssh://me:secret@prod/a", "ssh://prod/a?b", "ssh://prod/a#b",
		"ssh://prod:x/a", "ssh://pr od/a", "ssh://prod/%zz", "ssh://%2dx/a", "ssh://%0ax/a",
	} {
		if got, err := parseAddress(arg); exitCode(err) != exitUsage {
			t.Errorf("%q: got %+v, %v", arg, got, err)
		}
	}
}

func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"prod:a", "me@[::1]:a", "ssh://me@prod:1/~/a", "-x:y", "./a:b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		got, err := parseAddress(arg)
		if err != nil || !got.remote() {
			return
		}
		_, words := sshCommand(got)
		to := words[len(words)-3]
		if strings.HasPrefix(to, "-") || strings.ContainsAny(to, " \t\r\n\x00") || got.path == "" {
			t.Errorf("%q: ssh gets %q, for %q", arg, to, got.path)
		}
		if strings.HasPrefix(arg, "/") || strings.HasPrefix(arg, "./") {
			t.Errorf("%q: taken for an address", arg)
		}
	})
}

// TestAnotherUsersSocketIsNotFound: above a path may be a directory like /tmp.
func TestAnotherUsersSocketIsNotFound(t *testing.T) {
	root := t.TempDir()
	mine, socket := filepath.Join(root, "mine", "db"), filepath.Join(root, sockserver.DefaultSocketPath)
	for _, dir := range []string{mine, filepath.Dir(socket)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(mine)
	real, err := filepath.EvalSymlinks(socket)
	if err != nil {
		t.Fatal(err)
	}
	has := func() bool { return slices.Contains(sockets{}.sockets("live.db"), real) }
	if !has() {
		t.Fatal("nor is this user's own")
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(socket, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if has() {
		t.Error("another user's was found")
	}
	if err := os.Chown(mine, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if !has() {
		t.Error("that of the directory's owner was not found")
	}
}

func TestAnotherMachineDoesNotChooseTheNameOfACopy(t *testing.T) {
	dir := t.TempDir()
	far := &endpoint{link: &link{to: address{host: "prod"}}}
	src := side{arg: "prod:app/db/live.db", path: "/root/.bashrc", managed: true, program: far}
	if got, err := inDirectory(dir, src); err != nil || got != filepath.Join(dir, "live.db") {
		t.Errorf("got %s, %v", got, err)
	}
}
