package testenv

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// processesRole is of the process that runs the tests in namespaces.
const processesRole = "HOTSWAP_TEST_PROCESSES"

// exitNoProc is its exit code if it can't have its own /proc.
const exitNoProc = 78

// OwnProcesses runs a package's tests in a process of its own, in namespaces of
// mounts and of processes, if it may: a push looks through all processes that there
// are for one that has the file open, and on a machine with a hundred of them that
// is most of what it does. ran is false if the tests are still to be run, here. It is
// called in a TestMain, behind what is for the test's other processes.
func OwnProcesses() (code int, ran bool) {
	switch os.Getenv(processesRole) {
	case "first":
		err := errors.Join(
			os.Setenv(processesRole, "there"), // for those that it starts
			unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
			unix.Mount("proc", "/proc", "proc", 0, ""))
		return exitNoProc, err != nil
	case "there":
		return 0, false
	}
	if os.Getuid() != 0 {
		return 0, false
	}
	runtime.LockOSThread() // the signal comes when the thread ends
	defer runtime.UnlockOSThread()
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), processesRole+"=first")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	if cmd.Start() != nil {
		return 0, false
	}
	cmd.Wait()
	code = cmd.ProcessState.ExitCode()
	return code, code != exitNoProc
}
