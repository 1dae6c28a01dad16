package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"hotswap/internal/printable"
	"hotswap/sockserver"
)

const purpose = `Replace the SQLite database of a running program, or copy it, while the program serves.`

// description is the text of --help.
func description() string {
	codes := make([]string, len(exitCodes))
	for i, row := range exitCodes {
		codes[i] = fmt.Sprintf("%d %s", row.code, row.meaning)
	}
	return purpose + "\n\n" + examples(
		"push: check it, and swap it in; callers wait a moment", "hotswap cp new.sqlite3 db/production.sqlite3",
		"pull: a consistent copy, under load", "hotswap cp db/production.sqlite3 copy.sqlite3",
		"what holds it, which other processes have it open, how the last swap went", "hotswap status",
	) + "\n\nExit status: " + strings.Join(codes, ", ") + ". " + exitPromise
}

// cli is the command line.
type cli struct {
	Cp      cpCmd      `cmd:"" help:"Copy a database into a running program, or out of it."`
	Status  statusCmd  `cmd:"" help:"Show the managed databases of the running program."`
	Log     logCmd     `cmd:"" help:"Follow what pushes and pulls do in the running program."`
	UI      uiCmd      `cmd:"" name:"ui" help:"Show the managed databases in a browser."`
	Version versionCmd `cmd:"" help:"Show the version of this command and of the running program."`
	Fleet   fleetCmd   `cmd:"" help:"Publish a database to many servers."`
	Demo    demoCmd    `cmd:"" help:"Watch a small service keep serving while its database is swapped."`

	Completion completionCmd `cmd:"" help:"Print a completion script for your shell."`
	Complete   completeCmd   `cmd:"" hidden:""`
	Man        manCmd        `cmd:"" help:"Print the manual page."`

	ShowVersion versionFlag `name:"version" hidden:""`

	DialStdio dialStdioCmd `cmd:"" hidden:""`

	DemoWorker demoWorkerCmd `cmd:"" hidden:""`
	DemoNode   demoNodeCmd   `cmd:"" hidden:""`

	Mv onlyCp `cmd:"" hidden:""`
	Rm onlyCp `cmd:"" hidden:""`
	Ln onlyCp `cmd:"" hidden:""`

	Rollback backWithCp `cmd:"" hidden:""`
	Restore  backWithCp `cmd:"" hidden:""`
}

// sockets are the flags that say which program.
type sockets struct {
	Socket       string `placeholder:"PATH" help:"The program's socket, on its own machine ($HOTSWAP_SOCKET). By default tmp/sockets/hotswap.sock in the directory of the database, or in one above it, or in or above the working directory."`
	StderrSocket string `placeholder:"PATH" help:"The socket for its status lines ($HOTSWAP_STDERR_SOCKET); by default the name of the other one with \"stderr\" before the extension."`
}

func (s sockets) client() *sockserver.Client {
	return sockserver.NewClient(sockserver.ClientConfig{SocketPath: s.Socket, StderrSocketPath: s.StderrSocket})
}

// onlyCp answers users who look for the other file commands.
type onlyCp struct {
	Args []string `arg:"" optional:"" passthrough:"all"`
}

func (onlyCp) Run() error {
	return usagef("there is only cp: a live database can be replaced or copied, " +
		"not moved, removed or linked while its program runs; use `hotswap cp SRC DST`, then remove SRC yourself")
}

// backWithCp answers users who want the database before a push again.
type backWithCp struct {
	Args []string `arg:"" optional:"" passthrough:"all"`
}

func (backWithCp) Run() error {
	return usagef("there is only cp, also for the way back").
		withHint("push what `cp --backup` has kept, or any copy: `hotswap cp --backup DB~ DB`, where DB is what `hotswap status` shows")
}

// printJSON prints one JSON object.
func printJSON(w io.Writer, value any) error {
	return encodeJSON(w, value, "  ")
}

// encodeJSON writes a value and a newline.
func encodeJSON(w io.Writer, value any, indent string) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	_, err := w.Write(printable.JSON(b.Bytes()))
	return err
}

// run runs the command line and returns its exit code. Every error is printed
// here, and nowhere else but as the object of cp --json.
func run(ctx context.Context, args []string, stdio *streams) int {
	err := dispatch(ctx, args, stdio)
	if ctx.Err() != nil && err != nil && err.Error() == context.Canceled.Error() { // and no word of what was done
		err = context.Cause(ctx)
	}
	if err != nil && err != errUnread && !alreadyPrinted(err) {
		printError(stdio.err, err, args...)
	}
	return exitCode(err)
}

func dispatch(ctx context.Context, args []string, stdio *streams) error {
	parser, err := newParser(ctx, stdio)
	if err != nil {
		return err
	}
	if len(args) > 0 && args[0] == "help" { // as go, git and docker have it
		args = append(slices.Clone(args[1:]), "--help")
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		if unwritten, ok := errors.AsType[*fs.PathError](err); ok { // the help, or the version
			if errors.Is(err, syscall.EPIPE) {
				return errUnread
			}
			return unwritten
		}
		var parseError *kong.ParseError
		if errors.As(err, &parseError) {
			return misused(err, parseError.Context)
		}
		return err
	}
	if err := parsed.Run(parser); !errors.Is(err, syscall.EPIPE) || parsed.Selected().Name == "cp" {
		return err
	}
	return errUnread
}

// errUnread: whoever reads the output of a command that only prints, such as head(1), has
// seen enough. Others are killed by SIGPIPE then, without words.
var errUnread = errors.New("nobody reads the output")

func newParser(ctx context.Context, stdio *streams) (*kong.Kong, error) {
	return kong.New(&cli{},
		kong.Name("hotswap"),
		kong.Description(description()),
		kong.Writers(stdio.out, stdio.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.KindMapper(reflect.String, kong.MapperFunc(asGiven)),
		kong.KindMapper(reflect.Int, kong.MapperFunc(asNumber)),
		kong.KindMapper(reflect.Int64, kong.MapperFunc(asNumber)),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(asDuration)),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(stdio),
	)
}

// asGiven takes a word as it is. A file's name need not be UTF-8, and kong would
// make another one of it that is.
func asGiven(ctx *kong.DecodeContext, target reflect.Value) error {
	word, err := ctx.Scan.PopValue("string")
	if err == nil {
		target.SetString(fmt.Sprint(word.Value))
	}
	return err
}

// versionFlag is --version, which many tools have: the version of this command
// alone, without asking the program.
type versionFlag bool

// BeforeReset prints it, and ends the process as --help does.
func (versionFlag) BeforeReset(app *kong.Kong, stdio *streams) error {
	_, err := fmt.Fprintf(stdio.out, "hotswap %s\n", describeVersion(sockserver.BuildVersion()))
	if err == nil {
		app.Exit(exitOK)
	}
	return err
}
