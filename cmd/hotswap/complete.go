package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"hotswap/internal/printable"
	"hotswap/sockserver"
)

// completeTimeout is how long a user who pressed Tab waits for the program; a variable for
// tests.
var completeTimeout = 2 * time.Second

// filesToo is the line by which the shells are asked for file names, too.
const filesToo = ":files"

// completeCmd is what the shells' scripts call: it answers with the words that
// could stand where the cursor is, each with a tab and its description.
type completeCmd struct {
	Shell string   `arg:"" enum:"bash,zsh,fish"`
	Words []string `arg:"" optional:"" passthrough:"all"`
}

// Run never fails: whatever is wrong, there is nothing to complete.
func (c *completeCmd) Run(ctx context.Context, stdio *streams, app *kong.Kong) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	l := &commandLine{node: app.Model.Node, given: map[string]string{}}
	split := ""
	if c.Shell == "bash" {
		words, split = joinSplit(words)
	}
	if len(words) == 0 {
		words = []string{""}
	}
	l.read(words[:len(words)-1])
	for _, word := range l.complete(ctx, words[len(words)-1]) {
		fmt.Fprintln(stdio.out, strings.TrimPrefix(word, split))
	}
	return nil
}

// joinSplit puts --flag, = and value together again, and the version of a fleet, which bash
// splits. split is what it has split off before the word at the cursor.
func joinSplit(words []string) (joined []string, split string) {
	fleet := len(words) > 0 && words[0] == "fleet" // elsewhere a path may begin with @
	at := ""
	for i, word := range words {
		n := len(joined)
		switch {
		case word == "=" && n > 0 && strings.HasPrefix(joined[n-1], "--"), word == "@" && fleet:
			joined[n-1] += word
			at = word
		case i > 0 && words[i-1] == at && n > 0 && strings.HasSuffix(joined[n-1], at):
			joined[n-1] += word
		default:
			joined, at = append(joined, word), ""
		}
	}
	if n := len(joined); at != "" && slices.Contains(words[max(0, len(words)-2):], at) {
		before, _, _ := strings.Cut(joined[n-1], at)
		split = before + at
	}
	return joined, split
}

// commandLine is what has been typed before the word at the cursor.
type commandLine struct {
	node        *kong.Node
	value       *kong.Flag // the flag that the word at the cursor is the value of
	onlyArgs    bool       // behind a --
	given       map[string]string
	positionals int
}

func (l *commandLine) read(words []string) {
	for _, word := range words {
		name, value, hasValue := strings.Cut(word, "=")
		switch {
		case l.value != nil:
			l.set(l.value, word)
			l.value = nil
		case l.onlyArgs:
			l.positionals++
		case word == "--":
			l.onlyArgs = true
		case strings.HasPrefix(word, "-") && word != stdioName:
			flag := l.flag(name)
			if flag != nil && hasValue {
				l.set(flag, value)
			} else if flag != nil && !flag.IsBool() {
				l.value = flag
			}
		default:
			if child := l.child(word); child != nil {
				l.node = child
			} else {
				l.positionals++
			}
		}
	}
}

func (l *commandLine) set(flag *kong.Flag, value string) { l.given[flag.Name] = value }

func (l *commandLine) flags() []*kong.Flag { return slices.Concat(l.node.AllFlags(true)...) }

func (l *commandLine) flag(name string) *kong.Flag {
	for _, flag := range l.flags() {
		if name == "--"+flag.Name || flag.Short != 0 && name == "-"+string(flag.Short) {
			return flag
		}
	}
	return nil
}

func (l *commandLine) child(name string) *kong.Node {
	for _, child := range l.node.Children {
		if child.Name == name {
			return child
		}
	}
	return nil
}

// complete lists the lines of the answer.
func (l *commandLine) complete(ctx context.Context, word string) (lines []string) {
	add := func(candidate, description string) {
		if strings.HasPrefix(candidate, word) {
			lines = append(lines, candidate+"\t"+firstSentence(description))
		}
	}
	name, _, assigned := strings.Cut(word, "=")
	switch {
	case l.value != nil:
		l.values(ctx, l.value, "", add, &lines)
	case !l.onlyArgs && assigned && l.flag(name) != nil:
		l.values(ctx, l.flag(name), name+"=", add, &lines)
	case !l.onlyArgs && strings.HasPrefix(word, "-"):
		for _, flag := range l.flags() {
			add("--"+flag.Name, flag.Help)
		}
	case len(l.node.Children) > 0 && l.positionals > 0: // no such command
	case len(l.node.Children) > 0:
		for _, child := range l.node.Children {
			if !child.Hidden {
				add(child.Name, child.Help)
			}
		}
	default:
		l.arguments(ctx, word, add, &lines)
	}
	return lines
}

func (l *commandLine) values(ctx context.Context, flag *kong.Flag, prefix string, add func(string, string), lines *[]string) {
	for _, value := range enumOf(flag.Value) {
		add(prefix+value, "")
	}
	if l.ofFleet() && flag.Name == "channel" {
		l.fleetNames(ctx, flag.Name, "", func(name, description string) { add(prefix+name, description) })
	}
	if strings.HasSuffix(flag.Name, "socket") || flag.PlaceHolder == "FILE" {
		*lines = append(*lines, filesToo)
	}
}

func (l *commandLine) arguments(ctx context.Context, word string, add func(string, string), lines *[]string) {
	if l.positionals >= len(l.node.Positional) {
		return
	}
	for _, value := range enumOf(l.node.Positional[l.positionals]) {
		add(value, "")
	}
	name := l.node.Positional[l.positionals].Name
	if name == "file" || name == "dir" {
		*lines = append(*lines, filesToo)
		return
	}
	if l.ofFleet() {
		l.fleetNames(ctx, name, word, add)
		return
	}
	if !slices.Contains([]string{"cp", "status", "log", "version", "ui"}, commandName(l.node)) {
		return
	}
	for _, path := range l.databases(ctx) {
		add(path, "managed database")
		if cwd, err := filepath.Abs("."); err == nil {
			if rel, err := filepath.Rel(cwd, path); err == nil && filepath.IsLocal(rel) {
				add(rel, "managed database")
			}
		}
	}
	*lines = append(*lines, filesToo)
}

func enumOf(value *kong.Value) []string {
	if value.Enum == "" {
		return nil
	}
	return value.EnumSlice()
}

// databases asks the program; where there is none, there are none.
func (l *commandLine) databases(ctx context.Context) (paths []string) {
	ctx, cancel := context.WithTimeout(ctx, completeTimeout)
	defer cancel()
	client := sockets{Socket: l.given["socket"]}.client()
	defer client.Close()
	list, err := client.Databases(ctx, "")
	if err != nil {
		return nil
	}
	for _, db := range list {
		if printable.Line(db.Path) == db.Path { // else the shell could not take the word
			paths = append(paths, db.Path)
		}
	}
	if len(paths) == 1 {
		paths = append(paths, sockserver.TheDatabase)
	}
	return paths
}

// firstSentence is short enough for a shell's list.
func firstSentence(help string) string {
	first, _, _ := strings.Cut(help, ". ")
	first, _, _ = strings.Cut(first, "; ")
	return strings.TrimSuffix(first, ".")
}

// completionCmd is `hotswap completion`.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is the text below the arguments.
func (completionCmd) Help() string {
	return examples(
		"bash, for this shell and for those to come", ". <(hotswap completion bash)",
		"", "hotswap completion bash > ~/.local/share/bash-completion/completions/hotswap",
		"zsh, in a directory of $fpath", "hotswap completion zsh > ~/.zfunc/_hotswap",
		"fish", "hotswap completion fish > ~/.config/fish/completions/hotswap.fish",
	)
}

// Run prints the shell's script.
func (c *completionCmd) Run(stdio *streams) error {
	_, err := io.WriteString(stdio.out, completionScripts[c.Shell])
	return err
}
