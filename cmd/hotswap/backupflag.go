package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"hotswap/internal/backups"
)

// backupFlag is --backup, with or without a way to name the backup.
type backupFlag backups.Kind

// IsBool is for kong: the flag needs no value.
func (backupFlag) IsBool() bool { return true }

// Decode is for kong. Alone the flag is what $VERSION_CONTROL says, as for cp of GNU
// coreutils, and simple where that is not set.
func (f *backupFlag) Decode(ctx *kong.DecodeContext) error {
	text, of := "simple", ""
	if value, ok := os.LookupEnv("VERSION_CONTROL"); ok && value != "" {
		text, of = value, "$VERSION_CONTROL: "
	}
	if ctx.Scan.Peek().Type == kong.FlagValueToken {
		text, of = fmt.Sprint(ctx.Scan.Pop().Value), ""
	}
	kind, err := backups.Parse(text)
	if err != nil {
		return fmt.Errorf("%s%w", of, err)
	}
	*f = backupFlag(kind)
	return nil
}

// kind is backups.None if there is to be no backup.
func (f backupFlag) kind() backups.Kind {
	if f == "" {
		return backups.None
	}
	return backups.Kind(f)
}
