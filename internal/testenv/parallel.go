package testenv

import (
	"flag"
	"fmt"
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
