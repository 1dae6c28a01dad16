//go:build !sqlite_unlock_notify

package driver

// unlockNotify is of go-sqlite3's build tag sqlite_unlock_notify. With it a call that meets
// a lock on a shared cache waits in C until that is released, and neither the end of its
// context nor a swap can end that; reads that this driver steps itself would not wait.
const unlockNotify = false
