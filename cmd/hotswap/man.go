package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"hotswap/internal/engine"
	"hotswap/sockserver"
)

// manCmd prints the manual page, from what --help says.
type manCmd struct{}

// Help is the text below the arguments.
func (manCmd) Help() string {
	return examples(
		"read it", "hotswap man | man -l -",
		"install it", "hotswap man > /usr/local/share/man/man1/hotswap.1",
	)
}

// Run prints it, in the man macros.
func (manCmd) Run(stdio *streams, app *kong.Kong) error {
	_, err := io.WriteString(stdio.out, manualPage(app.Model))
	return err
}

// page is a manual page in the making.
type page struct{ strings.Builder }

func (p *page) macro(name string, args ...string) {
	p.WriteString("." + name)
	for _, arg := range args {
		p.WriteString(` "` + strings.ReplaceAll(roff(arg), `"`, `\(dq`) + `"`)
	}
	p.WriteString("\n")
}

// text writes running text, a source line per sentence.
func (p *page) text(text string) {
	for line := range strings.Lines(strings.ReplaceAll(text, ". ", ".\n")) {
		line = roff(strings.TrimSpace(line))
		if line == "" {
			continue
		}
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			line = `\&` + line
		}
		p.WriteString(line + "\n")
	}
}

// verbatim writes lines as they are.
func (p *page) verbatim(text string) {
	p.macro("PP")
	p.macro("nf")
	for line := range strings.Lines(text) {
		p.WriteString(`\&` + roff(strings.TrimRight(strings.TrimPrefix(line, "    "), "\n")) + "\n")
	}
	p.macro("fi")
}

// roff escapes what the formatter would take for something else.
func roff(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
}

func manualPage(app *kong.Application) string {
	p := &page{}
	p.macro("TH", "HOTSWAP", "1", "", "hotswap", "User Commands")
	p.macro("SH", "NAME")
	p.WriteString("hotswap \\- " + roff("replace or copy the SQLite database of a running program") + "\n")
	p.macro("SH", "SYNOPSIS")
	for i, command := range commands(app) {
		if i > 0 {
			p.macro("br")
		}
		p.WriteString(roff(command.FullPath()+" [flags]"+arguments(command)) + "\n")
	}
	p.macro("SH", "DESCRIPTION")
	p.text(purpose)
	p.macro("SH", "COMMANDS")
	for _, command := range commands(app) {
		p.command(command)
	}
	p.macro("SH", "EXIT STATUS")
	for _, row := range exitCodes {
		p.macro("TP")
		fmt.Fprintf(p, "%d\n", row.code)
		p.text(row.meaning)
	}
	p.macro("PP")
	p.text(exitPromise)
	p.macro("SH", "ENVIRONMENT")
	for _, row := range variables {
		p.macro("TP")
		p.WriteString(roff(row.name) + "\n")
		p.text(row.meaning)
	}
	return p.String()
}

// variables are those of the environment.
var variables = []struct{ name, meaning string }{
	{sockserver.EnvSocket, "The socket of the program on this machine, unless --socket names one."},
	{sockserver.EnvStderrSocket, "The socket for its status lines, unless --stderr-socket names one."},
	{engine.EnvURL, "The servers of the engine of a fleet, unless --engine or --context names them."},
	{envSSH, "The command that reaches another machine, with its arguments, split by the shell like those of GIT_SSH_COMMAND; the machine's name and the command to run there follow them. By default ssh."},
	{envRemote, "What to run there; by default hotswap. For ssh this is a piece of shell: sudo -u app hotswap, say."},
}

func commands(app *kong.Application) []*kong.Node { return app.Leaves(true) }

// commandName is what is typed behind hotswap: cp, or fleet publish.
func commandName(command *kong.Node) string {
	return strings.TrimPrefix(command.FullPath(), "hotswap ")
}

func arguments(command *kong.Node) string {
	var text strings.Builder
	for _, arg := range command.Positional {
		text.WriteString(" " + strings.ToUpper(arg.Name))
	}
	return text.String()
}

func (p *page) command(command *kong.Node) {
	p.macro("SS", commandName(command)+arguments(command))
	p.text(command.Help)
	detail, shown, _ := strings.Cut(command.Detail, examplesTitle+"\n")
	for paragraph := range strings.SplitSeq(detail, "\n\n") {
		if strings.TrimSpace(paragraph) != "" {
			p.macro("PP")
			p.text(paragraph)
		}
	}
	for _, arg := range command.Positional {
		p.macro("TP")
		p.WriteString(roff(strings.ToUpper(arg.Name)) + "\n")
		p.text(arg.Help)
	}
	for _, flag := range slices.Concat(command.AllFlags(true)...) {
		p.macro("TP")
		p.WriteString(`\fB` + roff(flag.String()) + `\fR` + "\n")
		p.text(flag.Help)
	}
	if shown != "" {
		p.macro("PP")
		p.macro("B", examplesTitle)
		p.verbatim(strings.TrimLeft(shown, "\n"))
	}
}
