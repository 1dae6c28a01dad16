package swapper

import "runtime"

// looks has room for those who look through all descriptors, of this process or
// of all, with no gate closed. In a program of thousands of them that takes a
// while: of two hundred pushes that did it at once, on a few processors, those
// whose callers wait would have to wait for all the others at each system call.
var looks = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)))

// inLine does a look when it is its turn. A push whose gate is closed looks at
// once, without this.
func inLine[T any](look func() T) T {
	looks <- struct{}{}
	defer func() { <-looks }()
	return look()
}
