//go:build linux && (amd64 || arm64)

package sweep

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// aloneRole is of the process that runs the tests in namespaces.
const aloneRole = "HOTSWAP_SWEEP_ALONE"

// exitNotAlone is its exit code if it can't have its own /proc.
const exitNotAlone = 78

// alone runs the tests in a process of its own, in namespaces of mounts and of
// processes, if it may. A push looks through all processes that there are for one
// that has the file open, and on a machine with a hundred of them five in six of a
// victim's calls are for that; the supervisor has to answer each. ran is false if
// the tests are still to be run, here.
func alone() (code int, ran bool) {
	if os.Getenv(aloneRole) != "" {
		err := errors.Join(
			unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
			unix.Mount("proc", "/proc", "proc", 0, ""))
		return exitNotAlone, err != nil
	}
	if os.Getuid() != 0 {
		return 0, false
	}
	runtime.LockOSThread() // the signal comes when the thread ends
	defer runtime.UnlockOSThread()
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), aloneRole+"=yes")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	if cmd.Start() != nil {
		return 0, false
	}
	cmd.Wait()
	code = cmd.ProcessState.ExitCode()
	return code, code != exitNotAlone
}
