package testenv

import (
	"flag"
	"fmt"
	"os"
)

// Parallel has n tests run side by side, which mostly wait for time to pass or for
// other processes, unless the command line says how many. It is called in a
// package's TestMain.
func Parallel(n int) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", fmt.Sprint(n))
	}
}

// NoPeers keeps a package's tests, and the processes that they start, out of the pushes
// of others that run at the same time: each of these asks all processes of the user
// whether they have its file, which costs a descriptor for a moment, and makes system
// calls that are not the same in every run. It is called in a package's TestMain.
func NoPeers() {
	os.Setenv("HOTSWAP_PEERS", "off")
}
