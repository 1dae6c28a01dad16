package main

import (
	"net/url"
	"runtime"
	"strings"
	"unicode"
)

// address is where SRC, DST or PROGRAM is, as scp has it.
type address struct {
	arg  string // as given, for messages
	host string // with its user, if one is given; empty: this machine
	port string // may be empty
	path string // relative to where the command starts there
}

func (a address) remote() bool { return a.host != "" }

// parseAddress tells another machine's name from a file's: what is before the first
// colon is one, unless there is a slash in it, or nothing.
func parseAddress(arg string) (address, error) {
	a := address{arg: arg, path: arg}
	if strings.HasPrefix(arg, "ssh://") {
		return parseURL(a)
	}
	host, path, is := cutHost(arg)
	if !is {
		return a, nil
	}
	a.host, a.path = host, path
	if a.path == "" {
		a.path = "."
	}
	return a, a.check()
}

// cutHost follows scp's own rule. A colon within brackets is part of an IPv6 address.
func cutHost(arg string) (host, path string, is bool) {
	user, rest := "", arg
	if at := strings.Index(arg, "@["); at >= 0 && !strings.ContainsAny(arg[:at], ":/") {
		user, rest = arg[:at+1], arg[at+1:]
	}
	if strings.HasPrefix(rest, "[") {
		inner, path, closed := strings.Cut(rest[1:], "]:")
		if closed && !strings.Contains(inner, "/") {
			return user + inner, path, true
		}
	}
	colon := strings.IndexByte(arg, ':')
	if colon <= 0 || strings.Contains(arg[:colon], "/") {
		return "", "", false
	}
	if runtime.GOOS == "windows" && colon == 1 { // a drive
		return "", "", false
	}
	return arg[:colon], arg[colon+1:], true
}

// parseURL reads ssh://user@host:port/path, as git has it: the path is absolute, and one
// that begins with /~/ is relative to the home directory.
func parseURL(a address) (address, error) {
	u, err := url.Parse(a.arg)
	if err != nil {
		return a, usagef("%s: not an address: it must look like ssh://user@host:port/path", a.arg)
	}
	if _, password := u.User.Password(); password || u.RawQuery != "" || u.Fragment != "" || u.Hostname() == "" {
		return a, usagef("%s: an address has a user, a host, a port and a path, and nothing else", a.arg).
			withHint("ssh asks for a password itself; in a path, write %%3F for ? and %%23 for #")
	}
	a.host, a.port, a.path = u.Hostname(), u.Port(), u.Path
	if name := u.User.Username(); name != "" {
		a.host = name + "@" + a.host
	}
	if below, home := strings.CutPrefix(a.path, "/~"); home && (below == "" || below[0] == '/') {
		a.path = strings.TrimLeft(below, "/")
	}
	if a.path == "" {
		a.path = "."
	}
	return a, a.check()
}

// check refuses what ssh would take for an option, or can't be a host.
func (a address) check() error {
	_, host, withUser := strings.Cut(a.host, "@")
	if !withUser {
		host = a.host
	}
	switch {
	case strings.HasPrefix(a.host, "-") || strings.HasPrefix(host, "-"):
		return usagef("%s: the name of a host can't begin with a hyphen", a.arg).withHint("a file of that name is ./%s", a.arg)
	case host == "" || strings.ContainsFunc(a.host, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return usagef("%s: no host has the name %q", a.arg, host).withHint("a file of that name is ./%s", a.arg)
	default:
		return nil
	}
}
