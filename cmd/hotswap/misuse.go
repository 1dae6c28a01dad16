package main

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// misused is the failure of a command line that can't be parsed, with what to read or to
// type instead.
func misused(err error, parsed *kong.Context) error {
	err = inWords(err, parsed)
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

// notOneOf is what kong says of a word that is not among those that there are.
var notOneOf = regexp.MustCompile(`^(\S+) must be one of (".*") but got (".*")$`)

// inWords says plainly what kong says of an argument that is missing, or is not among those that
// there are.
func inWords(err error, parsed *kong.Context) error {
	if missing, ok := strings.CutPrefix(err.Error(), "expected "); ok && strings.HasPrefix(missing, `"<`) {
		names := strings.Trim(missing, `"`)
		if selected := parsed.Selected(); selected != nil {
			for _, arg := range selected.Positional {
				if arg.Enum != "" && "<"+arg.Name+">" == names {
					return fmt.Errorf("%s is missing: %s", names, either(arg.EnumSlice()))
				}
			}
		}
		if strings.Contains(names, " ") {
			return fmt.Errorf("%s are missing", names)
		}
		return fmt.Errorf("%s is missing", names)
	}
	if parts := notOneOf.FindStringSubmatch(err.Error()); parts != nil {
		return fmt.Errorf("%s is %s, and not %s", parts[1], either(strings.Split(strings.ReplaceAll(parts[2], `"`, ""), ",")), parts[3])
	}
	return err
}

// either lists words of which one is meant.
func either(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
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

// popFigure reads a word that may begin with a minus, which is no flag then: what it is read for
// says better what is wrong with it.
func popFigure(ctx *kong.DecodeContext, what string) (kong.Token, error) {
	next := fmt.Sprint(ctx.Scan.Peek().Value)
	if len(next) > 1 && next[0] == '-' && '0' <= next[1] && next[1] <= '9' {
		return ctx.Scan.Pop(), nil
	}
	return ctx.Scan.PopValue(what)
}

// asNumber reads a whole number.
func asNumber(ctx *kong.DecodeContext, target reflect.Value) error {
	word, err := popFigure(ctx, "number")
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(fmt.Sprint(word.Value), 10, target.Type().Bits())
	if err != nil {
		return fmt.Errorf("%q is not a whole number", fmt.Sprint(word.Value))
	}
	target.SetInt(n)
	return nil
}

// asDuration reads a duration. One without a unit is said to lack it.
func asDuration(ctx *kong.DecodeContext, target reflect.Value) error {
	word, err := popFigure(ctx, "duration")
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
