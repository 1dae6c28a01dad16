package main

import (
	"regexp"
	"strings"

	"hotswap/internal/printable"
)

// plainWord is what a shell takes as it is.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./~-]+$`)

// shellWord is a file's name as it is to be typed: a hint that is pasted must do what it
// says, and nothing else.
func shellWord(name string) string {
	if strings.HasPrefix(name, "-") || strings.HasPrefix(name, "~") {
		name = "./" + name
	}
	if plainWord.MatchString(name) {
		return name
	}
	return printable.Line("'" + strings.ReplaceAll(name, "'", `'\''`) + "'")
}
