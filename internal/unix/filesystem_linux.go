package unix

import "golang.org/x/sys/unix"

// ENOATTR: the file has no such attribute.
const ENOATTR = unix.ENODATA
