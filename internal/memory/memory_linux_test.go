package memory

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const reports = "HOTSWAP_TEST_AVAILABLE"

func TestMain(m *testing.M) {
	if os.Getenv(reports) != "" {
		fmt.Println(Available())
		return
	}
	m.Run()
}

// The lines of /proc/self/mountinfo: of systemd's host, a container with a control group
// namespace of its own, Docker on version 1, and both versions at once.
const (
	unified  = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
	docker1  = "33 30 0:29 /docker/abc /sys/fs/cgroup/memory ro,nosuid master:9 - cgroup cgroup rw,memory"
	mounted1 = "33 30 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
	spaced   = `30 24 0:26 / /sys/fs/c\040group rw - cgroup2 cgroup2 rw`
)

func TestTheLimitIsTheLeastOfTheGroupAndThoseAboveIt(t *testing.T) {
	for name, test := range map[string]struct {
		groups, mounts string
		files          map[string]string
		want           int64
	}{
		"nothing is known":                    {"", "", nil, 0},
		"version 2, of the group":             {"0::/app", unified, map[string]string{"sys/fs/cgroup/app/memory.max": "1000000"}, 1000000},
		"version 2, no limit":                 {"0::/app", unified, map[string]string{"sys/fs/cgroup/app/memory.max": "max", "sys/fs/cgroup/app/memory.high": "max"}, 0},
		"version 2, of the one above":         {"0::/a/b", unified, map[string]string{"sys/fs/cgroup/a/memory.max": "5000", "sys/fs/cgroup/a/b/memory.max": "9000"}, 5000},
		"version 2, throttled":                {"0::/a", unified, map[string]string{"sys/fs/cgroup/a/memory.max": "5000", "sys/fs/cgroup/a/memory.high": "4000"}, 4000},
		"version 2, a container's own":        {"0::/", unified, map[string]string{"sys/fs/cgroup/memory.max": "7000"}, 7000},
		"version 2, seen from elsewhere":      {"0::/../../other", unified, map[string]string{"sys/fs/cgroup/memory.max": "7000"}, 7000},
		"version 2, mounted at a space":       {"0::/a", spaced, map[string]string{"sys/fs/c group/a/memory.max": "7000"}, 7000},
		"version 1":                           {"4:memory:/app", mounted1, map[string]string{"sys/fs/cgroup/memory/app/memory.limit_in_bytes": "3000"}, 3000},
		"version 1, beside others":            {"4:cpu,memory:/app", mounted1, map[string]string{"sys/fs/cgroup/memory/app/memory.limit_in_bytes": "3000"}, 3000},
		"version 1, no limit":                 {"4:memory:/app", mounted1, map[string]string{"sys/fs/cgroup/memory/app/memory.limit_in_bytes": "9223372036854771712"}, 0},
		"version 1, of the one above":         {"4:memory:/a/b", mounted1, map[string]string{"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "3000"}, 3000},
		"version 1, Docker's":                 {"4:memory:/docker/abc", docker1, map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": "3000"}, 3000},
		"version 1, a group in a container":   {"4:memory:/docker/abc/x", docker1, map[string]string{"sys/fs/cgroup/memory/x/memory.limit_in_bytes": "3000"}, 3000},
		"version 1, another of a like name":   {"4:memory:/docker/abcd", docker1, map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": "3000"}, 3000},
		"both, and the memory is version 1's": {"4:memory:/app\n0::/", mounted1 + "\n" + unified, map[string]string{"sys/fs/cgroup/memory/app/memory.limit_in_bytes": "3000"}, 3000},
		"nonsense":                            {"x\n0::/a", "x - y\n" + unified, map[string]string{"sys/fs/cgroup/a/memory.max": "-1"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			files := map[string]string{"proc/self/cgroup": test.groups + "\n", "proc/self/mountinfo": test.mounts + "\n"}
			for name, text := range test.files {
				files[name] = text + "\n"
			}
			for name, text := range files {
				name = filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := groupLimit(root); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestARealGroupsLimitIsSeen(t *testing.T) {
	const limit = 256 << 20
	group := boundedGroup(t, limit)
	child := exec.Command("sh", "-c", `echo $$ >"$0/cgroup.procs" && exec "$1"`, group, os.Args[0])
	child.Env = append(os.Environ(), reports+"=1")
	out, err := child.CombinedOutput()
	if got := strings.TrimSpace(string(out)); err != nil || got != strconv.Itoa(limit) {
		t.Errorf("it says %s (%v), want %d", got, err, limit)
	}
}

// boundedGroup makes a control group. Where the kernel refuses one, as it does in most
// containers, or has none, it skips the test, also in CI; else it fails.
func boundedGroup(t *testing.T, limit int) (group string) {
	mounts := lines("/proc/self/mountinfo")
	h := find(mounts, "cgroup", "memory", version1)
	if h.at == "" {
		h = find(mounts, "cgroup2", "", version2)
	}
	if h.at == "" {
		t.Skip("no control groups that bound memory are mounted")
	}
	group = filepath.Join(h.at, fmt.Sprint("hotswap-test-", os.Getpid()))
	err := os.Mkdir(group, 0o755)
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		t.Skip("the kernel refuses us a control group: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(group); err != nil {
			t.Error(err)
		}
	})
	file := filepath.Join(group, h.limits[0])
	if _, err := os.Stat(file); errors.Is(err, unix.ENOENT) {
		passedOn, _ := os.ReadFile(filepath.Join(h.at, "cgroup.subtree_control"))
		if !slices.Contains(strings.Fields(string(passedOn)), "memory") {
			t.Skipf("memory is not among what %s passes on to the groups below it: %q", h.at, passedOn)
		}
	}
	if err := os.WriteFile(file, []byte(strconv.Itoa(limit)), 0o644); err != nil {
		t.Fatal(err)
	}
	return group
}
