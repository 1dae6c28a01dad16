package driver_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/fileid"
	"hotswap/internal/inside"
	"hotswap/internal/testenv"
)

// silentRole is the variable that makes a child one with many endpoints which answer
// nothing, and has the path of the database of which it hears.
const silentRole = "HOTSWAP_TEST_SILENT"

const silentEndpoints = 60

// beSilent says what it is told about the database.
func beSilent(path string) error {
	file := fileid.Of(path)
	for i := range silentEndpoints {
		name := fmt.Sprintf("@hotswap-peer/1/%d/silent%d.%d", os.Geteuid(), os.Getpid(), i)
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
		if err != nil {
			return err
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				if i > 0 {
					continue
				}
				go func() {
					var m struct {
						Op   string
						File struct{ Ino uint64 }
					}
					for in, ours := bufio.NewScanner(c), false; in.Scan(); {
						json.Unmarshal(in.Bytes(), &m)
						if ours = ours || m.File.Ino == file.Ino; ours {
							fmt.Println(m.Op)
						}
					}
				}()
			}
		}()
	}
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	in.Scan()
	return in.Err()
}

func startSilent(t *testing.T, d *driver.Database) *testenv.Child {
	t.Helper()
	if runtime.GOOS != "linux" {
		testenv.Skip(t, "there are no peers")
	}
	t.Setenv("HOTSWAP_PEERS", "on")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), silentRole+"="+d.Path())
	cmd.Stderr = os.Stderr
	child := testenv.Start(t, cmd)
	if got := child.Line(); got != "ready" {
		t.Fatal(got)
	}
	return child
}

// TestThoseWhoDoNotAnswerAreWaitedForOnce, however many they are: a push asks several times.
func TestThoseWhoDoNotAnswerAreWaitedForOnce(t *testing.T) {
	_, d := open(t, "", 1)
	startSilent(t, d)
	defer driver.SetInvitePatience(100 * time.Millisecond)()
	d.Peers()
	driver.SetInvitePatience(time.Hour)
	asked := make(chan []driver.Peer)
	go func() { asked <- d.Peers() }()
	if all := within(t, "the others' answers", asked); len(all) > 0 {
		t.Errorf("the peers: %+v", all)
	}
	f := mustFreeze(t, d, driver.FreezeOptions{Peers: true})
	f.Thaw()
}

// TestOneWhoDoesNotAnswerIsToldOfWhatIsWrittenInPlace: it may have the file, and be stuck.
func TestOneWhoDoesNotAnswerIsToldOfWhatIsWrittenInPlace(t *testing.T) {
	_, d := open(t, "", 1)
	child := startSilent(t, d)
	defer driver.SetInvitePatience(100 * time.Millisecond)()
	for range 2 { // known to be silent, or not
		f := mustFreeze(t, d, inside.Extend(driver.FreezeOptions{Peers: true}, inside.FreezeOptions{WritesOnly: true, InPlace: true}))
		f.Replaced()
		f.Thaw()
		if got := []string{child.Line(), child.Line()}; !slices.Equal(got, []string{"join", "thaw"}) {
			t.Errorf("it is told: %q", got)
		}
	}
}
