package main

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// misused is the failure of a command line that can't be parsed, with what to read or to
// type instead.
func misused(err error, parsed *kong.Context) error {
	if selected := parsed.Selected(); selected != nil {
		if slices.Contains(parsed.Args, "--if-match") && strings.Contains(err.Error(), "DST") { // it took the source for the tag
			return &failure{code: exitUsage, err: err, hint: "--if-match takes a tag: " + ifMatchUsage}
		}
		return &failure{code: exitUsage, err: err, hint: "see `" + selected.FullPath() + " --help`"}
	}
	if len(parsed.Args) == 0 {
		return usagef("no command").withHint("%s", listCommands(parsed.Model))
	}
	word := parsed.Args[0]
	if strings.HasPrefix(word, "-") {
		return &failure{code: exitUsage, err: err, hint: "flags come after the command: see `hotswap cp --help`"}
	}
	// Of three letters any two may differ for a suggestion of kong's.
	text, suggested, ok := strings.Cut(err.Error(), ", did you mean ")
	if ok && word != "" && len(word) <= 3 && !strings.Contains(suggested, `"`+word[:1]) {
		err = errors.New(text)
	}
	return &failure{code: exitUsage, err: err, hint: "there is no such command: `hotswap --help` lists them"}
}

// listCommands is what --help says of each.
func listCommands(app *kong.Application) string {
	var b strings.Builder
	b.WriteString("the commands are:\n")
	for _, command := range commands(app) {
		fmt.Fprintf(&b, "%-16s%s\n", commandName(command), command.Help)
	}
	b.WriteString("see `hotswap COMMAND --help`")
	return b.String()
}

// asDuration reads a duration. One without a unit is said to lack it.
func asDuration(ctx *kong.DecodeContext, target reflect.Value) error {
	word, err := ctx.Scan.PopValue("duration")
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(fmt.Sprint(word.Value))
	if err != nil {
		return fmt.Errorf("%q is not a duration, such as 5s, 500ms or 1m30s", fmt.Sprint(word.Value))
	}
	target.SetInt(int64(d))
	return nil
}
