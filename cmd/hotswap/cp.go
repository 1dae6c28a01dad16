package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/alecthomas/kong"

	"hotswap/internal/backups"
	"hotswap/internal/printable"
	"hotswap/internal/statetag"
	"hotswap/sockserver"
	"hotswap/swapper"
)

// cpCmd is `hotswap cp`.
type cpCmd struct {
	sockets `embed:""`

	SkipIntegrityCheck  bool          `help:"Push without PRAGMA integrity_check and without checking constraints; the length and the header are still checked."`
	SkipConstraintCheck bool          `help:"Accept rows that violate a constraint of their own table (NOT NULL, CHECK, UNIQUE, a column's type); damage is still refused."`
	Check               bool          `help:"Run PRAGMA integrity_check on the copy of a pull before it is written to DST; without it, a damaged live database yields a damaged copy, and OK. A push is checked without this flag."`
	SkipSchemaCheck     bool          `help:"Push a database whose schema differs from the live one's, or replace a live one that can't be read (keep that with --backup)."`
	SkipRehearsal       bool          `help:"Push without opening the new database as the program's own connections will (connect hook, PRAGMA, ATTACH). Settings that can't be replayed are then lost, and if a hook fails, so do the program's calls."`
	Quick               bool          `help:"Check with PRAGMA quick_check instead: faster, but blind to corrupt indexes."`
	Method              string        `default:"auto" enum:"auto,rename,in-place" help:"How a push replaces the database. rename drains the connections of the program and its peers; nobody else may have the file open. in-place writes over the file through SQLite, even while another process or a long reader has it open. auto renames if it can."`
	Timeout             time.Duration `placeholder:"30s" help:"How long a push may wait in total, by rename and in place together, for transactions and open rows to end and for locks. The transfer, the checks and the copying don't count. By default the program's setting, or 30s. It can't be 0."`
	MaxPause            time.Duration `placeholder:"1s" help:"The longest that a single attempt of a push may hold up the program's calls; by default the program's setting, or 1s. It can't be 0."`
	Force               bool          `help:"When a push reaches its timeout, interrupt what is still running and roll its transactions back."`
	Backup              backupFlag    `short:"b" help:"Keep the replaced file beside the new one, as DST~; DST must be a database or a file. --backup=numbered keeps it as DST.~N~, beside earlier ones, and --backup=existing does so if there are such. $VERSION_CONTROL is what the flag alone means."`
	Keep                int           `placeholder:"N" help:"With --backup=numbered, remove the oldest numbered backups until there are N, but none that somebody reads."`
	IfChanged           bool          `help:"Print unchanged, and push nothing, if the last push to DST had the same bytes and nothing has been written to DST since. The program remembers this until it exits."`
	IfMatch             string        `placeholder:"TAG" help:"Push only if the live database still has the content that a pull printed this tag of: nothing was written to it since, and nothing swapped. Else the exit code is 3."`
	Whole               bool          `help:"Send the whole database to or from another machine, as it is. Without it, only what differs from the database there, or from the DST of a pull, travels, compressed."`
	DryRun              bool          `short:"n" help:"Check everything, replace nothing."`
	Quiet               bool          `short:"q" help:"Print nothing but errors."`
	Progress            string        `enum:"auto,always,never" default:"auto" help:"Show progress on stderr: auto, always or never. auto shows it if stderr is a terminal; --quiet never does."`
	JSON                bool          `name:"json" help:"Print a report as a JSON object instead of OK, also on failure; on stderr if the database goes to stdout."`

	Src string `arg:"" name:"SRC" help:"A file, a managed database, HOST:DATABASE on another machine, or - for standard input."`
	Dst string `arg:"" name:"DST" help:"A managed database, HOST:DATABASE on another machine, a file, a directory, or - for standard output."`

	programs []*endpoint // those that have been reached

	given []string // the flags on the command line, in their order, whatever their values
}

// AfterApply notes which flags were given: one may be given its default.
func (c *cpCmd) AfterApply(parsed *kong.Context) error {
	for _, part := range parsed.Path {
		if part.Flag != nil && !part.Resolved {
			c.given = append(c.given, part.Flag.Name)
		}
	}
	return nil
}

// Help is the text below the flags.
func (cpCmd) Help() string {
	return `One of SRC and DST must be a database that the running program manages; both may be. ` +
		`The word "database" stands for the program's only managed database, unless the working directory ` +
		`has a file of that name (./database is always the file). ` +
		`Files are opened by this command, in its working directory and with your rights; the program gets their bytes. ` +
		`HOST:DATABASE is reached with ssh, which runs hotswap there, and is relative to the home directory; --socket is then that machine's. ` +
		`./a:b is a file. ` +
		`A push is checked before it goes live; a pull copies what is there, and checks the copy with --check only.` +
		"\n\n" + examples(
		"push, and keep the replaced file as db/production.sqlite3~", "hotswap cp --backup new.sqlite3 db/production.sqlite3",
		"roll back: push the kept file, and keep the one it replaces", "hotswap cp --backup db/production.sqlite3~ db/production.sqlite3",
		"look first: check everything, replace nothing", "hotswap cp --dry-run new.sqlite3 db/production.sqlite3",
		"a copy that has been checked", "hotswap cp --check db/production.sqlite3 copy.sqlite3",
		"from a timer: push only if the file has changed", "hotswap cp --if-changed -q reference.sqlite3 database",
		"to another machine, and from it", "hotswap cp new.sqlite3 prod:app/db/production.sqlite3",
		"", "hotswap cp prod:app/db/production.sqlite3 copy.sqlite3",
		"for a script", "hotswap cp --json -q new.sqlite3 database | jq .pause_ms",
	)
}

// Run copies. With --json it prints the result as an object, also on failure.
func (c *cpCmd) Run(ctx context.Context, stdio *streams) error {
	c.useStdio()
	out := c.newOutput(ctx, stdio)
	err := c.copy(ctx, out)
	out.close()
	if err == nil || !c.JSON {
		return err
	}
	if printErr := printJSON(out.report, reportOfFailure(err, out.id, c.Src, cmp.Or(out.target, c.Dst))); printErr != nil || out.report != stdio.err {
		return err
	}
	return printedError{err} // text would spoil the object
}

// copy decides what the two sides are and copies one to the other.
func (c *cpCmd) copy(ctx context.Context, out *output) (err error) {
	if err := cmp.Or(c.checkArguments(), c.checkStreams(out)); err != nil {
		return err
	}
	out.still = &stillness{say: out.say, copies: true}
	defer out.still.watch(ctx)()
	defer func() { err = c.leave(err) }()
	src, dst, list, err := c.findSides(ctx, out.still)
	if errors.Is(err, errInterrupted) {
		return &failure{code: exitCode(err), err: err, note: "nothing was copied: " + printable.Line(c.Dst) + " is unchanged"}
	}
	if err != nil {
		return err
	}
	asked := src
	if dst.managed {
		asked = dst
	}
	status := asked.statusCommand()
	out.status.Store(&status)
	if out.host = dst.host(); out.host != "" {
		out.far = dst.program
	}
	if dst.managed {
		out.target = dst.path
	}
	switch {
	case dst.managed && c.Check:
		return usagef("--check is for a pull, but %s is a managed database", c.Dst).withHint("a push is checked without it")
	case src.managed && dst.managed:
		return c.pushFromDatabase(ctx, src, dst, out)
	case dst.managed:
		return c.pushFromFile(ctx, src, dst, out)
	default:
		if err := c.checkPullFlags(dst); err != nil {
			return err
		}
		return c.pull(ctx, src, dst, list, out)
	}
}

func (c *cpCmd) newOutput(ctx context.Context, stdio *streams) *output {
	out := &output{streams: stdio, quiet: c.Quiet, json: c.JSON, dryRun: c.DryRun, report: stdio.out, current: newTransfer(0)}
	if c.Dst == stdioName {
		out.report = stdio.err // stdout takes the database
	}
	if c.wantsProgress(stdio.err) {
		out.live = newLiveLine(stdio.err)
		context.AfterFunc(ctx, out.live.interrupt)
	}
	return out
}

func (c *cpCmd) checkArguments() error {
	switch {
	case c.Src == "" || c.Dst == "":
		return usagef("empty file name")
	case (c.Src == stdioName || c.Src == stdinPath) && c.Dst == stdioName:
		return usagef("- and -: one side must be a managed database").withHint("`hotswap status` lists them")
	case c.Timeout < 0 || c.MaxPause < 0:
		return usagef("--timeout and --max-pause can't be negative")
	case c.Timeout == 0 && slices.Contains(c.given, "timeout"), c.MaxPause == 0 && slices.Contains(c.given, "max-pause"):
		return usagef("--timeout and --max-pause can't be 0: a push needs a moment").
			withHint("leave the flag out for the program's setting, or set a short one: --timeout=10ms")
	case slices.Contains(c.given, "if-match") && !statetag.Valid(c.IfMatch):
		return usagef("--if-match: %q is not a tag", c.IfMatch).
			withHint("a tag has %d hexadecimal digits, in lower case, as a pull prints it: %s", statetag.Length, ifMatchUsage)
	case c.IfChanged && c.IfMatch != "":
		return usagef("--if-changed and --if-match can't be used together")
	case slices.Contains(c.given, "keep") && c.Backup.kind() != backups.Numbered:
		return usagef("--keep needs --backup=numbered: it is the number of numbered backups to keep")
	case slices.Contains(c.given, "keep") && c.Keep < 1:
		return usagef("--keep=%d: at least 1 backup is kept", c.Keep)
	case c.Quick && c.SkipIntegrityCheck:
		return usagef("--quick and --skip-integrity-check can't be used together")
	default:
		return nil
	}
}

const ifMatchUsage = "hotswap cp --if-match=TAG SRC DST"

// checkStreams refuses to work with a stream that is needed and closed.
func (c *cpCmd) checkStreams(out *output) error {
	switch {
	case c.Src == stdioName && out.closed[0]:
		return usagef("standard input is closed").
			withHint("give it the database, `hotswap cp - DST <new.sqlite3`, or name the file")
	case c.Dst == stdioName && out.closed[1] && !c.DryRun:
		return usagef("standard output is closed, and the copy would go nowhere").
			withHint("redirect it to a file, or name one")
	case c.JSON && (out.report == out.out && out.closed[1] || out.report == out.err && out.closed[2]):
		return usagef("%s is closed, and the report would go nowhere", out.report.Name()).
			withHint("redirect it, or do without --json")
	default:
		return nil
	}
}

// forPushes are the flags that have no effect on a pull.
var forPushes = []string{
	"skip-integrity-check", "skip-schema-check", "skip-rehearsal", "method", "timeout", "max-pause", "force", "if-changed", "if-match",
}

// forChecks are flags that have an effect on a pull with --check only.
var forChecks = []string{"quick", "skip-constraint-check"}

// checkPullFlags refuses flags that have no effect, rather than ignoring them.
func (c *cpCmd) checkPullFlags(dst side) error {
	for _, flag := range c.given {
		switch {
		case slices.Contains(forPushes, flag):
			return usagef("--%s is for a push, but %s is not a managed database", flag, dst.arg)
		case slices.Contains(forChecks, flag) && !c.Check:
			return usagef("--%s is for a push, but %s is not a managed database", flag, dst.arg).withHint("a pull takes it with --check")
		case flag == "backup" && !dst.replaceable():
			return usagef("--backup keeps the file that a copy replaces, but %s is not a file", dst.arg).withHint("leave it out, or name a file")
		}
	}
	return nil
}

// backupAs is for a push: "" for none, and for a simple one, which every server knows.
func (c *cpCmd) backupAs() swapper.BackupNames {
	if kind := c.Backup.kind(); kind != backups.None && kind != backups.Simple {
		return swapper.BackupNames(kind)
	}
	return ""
}

func (c *cpCmd) pushParams(source *source) sockserver.PushParams {
	return sockserver.PushParams{
		ID:                  sockserver.NewID(),
		Source:              source.name,
		Size:                source.size,
		SkipIntegrityCheck:  c.SkipIntegrityCheck,
		SkipConstraintCheck: c.SkipConstraintCheck,
		SkipSchemaCheck:     c.SkipSchemaCheck,
		SkipRehearsal:       c.SkipRehearsal,
		Quick:               c.Quick,
		Force:               c.Force,
		Backup:              c.Backup.kind() == backups.Simple,
		BackupAs:            c.backupAs(),
		Keep:                c.Keep,
		NoBackup:            c.Backup == backupFlag(backups.None), // and not just left out
		DryRun:              c.DryRun,
		IfMatch:             c.IfMatch,
		Method:              swapper.Method(c.Method),
		// Beside a check it costs nothing, and a later --if-changed compares with it.
		Digest:   c.JSON || c.IfChanged || !c.SkipIntegrityCheck && !c.Quick,
		Timeout:  c.Timeout,
		MaxPause: c.MaxPause,
		Whole:    c.Whole,
	}
}
