//go:build sqlite_unlock_notify

package driver

const unlockNotify = true
