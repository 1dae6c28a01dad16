package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/alecthomas/kong"

	"hotswap/sockserver"
)

const description = `Swap the SQLite database under a running program, or copy it out, with cp.

Exit status: 0 done, 1 failed, 2 usage, 65 the database is bad (corrupt, cut, of another schema), ` +
	`69 no server there, 75 try again (busy, held), 77 not allowed. ` +
	`Unless it is 0, the live database is as it was, or the message says what it is.`

// cli is the command line.
type cli struct {
	Cp      cpCmd      `cmd:"" help:"Copy a database into a running program, or out of it."`
	Status  statusCmd  `cmd:"" help:"Show the managed databases of the running program."`
	Log     logCmd     `cmd:"" help:"Follow what pushes and pulls do in the running program."`
	Version versionCmd `cmd:"" help:"Show the version of this command and of the running program."`
	Demo    demoCmd    `cmd:"" help:"Watch a small service keep serving while its database is swapped."`

	Mv onlyCp `cmd:"" hidden:""`
	Rm onlyCp `cmd:"" hidden:""`
	Ln onlyCp `cmd:"" hidden:""`
}

// sockets are the flags that say which program.
type sockets struct {
	Socket       string `env:"HOTSWAP_SOCKET" placeholder:"PATH" help:"The program's socket; tmp/sockets/hotswap.sock by default."`
	StderrSocket string `env:"HOTSWAP_STDERR_SOCKET" placeholder:"PATH" help:"The socket of its status lines; by default the other's name with \"stderr\" before the extension."`
}

func (s sockets) client() *sockserver.Client {
	return sockserver.NewClient(sockserver.ClientConfig{SocketPath: s.Socket, StderrSocketPath: s.StderrSocket})
}

// onlyCp answers who looks for the other file commands.
type onlyCp struct {
	Args []string `arg:"" optional:"" passthrough:"all"`
}

func (onlyCp) Run() error {
	return usagef("there is only cp: a live database can be replaced or copied, " +
		"not moved away from under its program, removed or linked; use `hotswap cp SRC DST`, then remove SRC yourself")
}

// streams are the standard streams.
type streams struct {
	in, out, err *os.File
}

// printJSON prints one JSON object.
func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// run runs the command line and returns its exit code. Every error is printed
// here, and nowhere else but as the object of cp --json.
func run(ctx context.Context, args []string, stdio *streams) int {
	err := dispatch(ctx, args, stdio)
	if err != nil && !alreadySaid(err) {
		printError(stdio.err, err)
	}
	return exitCode(err)
}

func dispatch(ctx context.Context, args []string, stdio *streams) error {
	parser, err := kong.New(&cli{},
		kong.Name("hotswap"),
		kong.Description(description),
		kong.Writers(stdio.out, stdio.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(stdio),
	)
	if err != nil {
		return err
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		var parseError *kong.ParseError
		if errors.As(err, &parseError) {
			return &failure{code: exitUsage, err: err, hint: "see `hotswap --help`, or `hotswap cp --help`"}
		}
		return err
	}
	return parsed.Run()
}
