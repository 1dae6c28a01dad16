// Package unix has those calls of golang.org/x/sys/unix, and of syscall, that the
// module makes in files which are compiled for Windows as well. There each of them
// fails with errors.ErrUnsupported, and nothing comes as far as calling one: see
// [Supported]. Files for one system alone use golang.org/x/sys/unix itself.
package unix
