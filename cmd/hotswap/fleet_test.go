package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"hotswap/driver"
	"hotswap/fleet"
	"hotswap/internal/engine"
	"hotswap/internal/engine/embedded"
)

// startEngine is the script command engine: it starts an engine that ends with the script, and
// says where it is in HOTSWAP_ENGINE.
func startEngine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: engine")
	}
	server, err := embedded.Start(embedded.Config{Dir: ts.MkAbs("engine"), Port: -1, Lax: true})
	ts.Check(err)
	ts.Defer(server.Stop)
	ts.Setenv(engine.EnvURL, server.ClientURL())
}

// printRecord is the script command record: "record KEY" prints what the engine has under a key
// of the bucket that decides.
func printRecord(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: record KEY")
	}
	e, err := engine.Connect(context.Background(), engine.Config{URL: ts.Getenv(engine.EnvURL)})
	ts.Check(err)
	defer e.Close()
	kv, err := e.Fleet(context.Background())
	ts.Check(err)
	entry, err := kv.Get(context.Background(), args[0])
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%s\n", entry.Value())
}

// readEnv is the script command readenv: "readenv NAME FILE" makes the file's first line the
// value of the variable.
func readEnv(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: readenv NAME FILE")
	}
	line, _, _ := strings.Cut(ts.ReadFile(args[1]), "\n")
	ts.Setenv(args[0], line)
}

// startNode is the script command node: "node NAME CHANNEL=FILE [LABEL=VALUE...]" has a
// program join, until the script ends. It is not in order with what has the word bad in it,
// and trusts the keys in $TRUST.
func startNode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: node NAME CHANNEL=FILE [LABEL=VALUE...]")
	}
	channel, file, _ := strings.Cut(args[1], "=")
	path := ts.MkAbs(file)
	db, err := sql.Open(driver.Name, "file:"+path)
	ts.Check(err)
	labels := map[string]string{}
	for _, label := range args[2:] {
		name, value, _ := strings.Cut(label, "=")
		labels[name] = value
	}
	node, err := fleet.Join(context.Background(), fleet.Config{Engine: ts.Getenv(engine.EnvURL), Node: args[0], Labels: labels,
		Databases: map[string]string{channel: path}, TrustedKeys: strings.FieldsFunc(ts.Getenv("TRUST"), func(r rune) bool { return r == ',' }),
		Health: func(ctx context.Context, _ fleet.Version) error {
			var bad int
			err := db.QueryRowContext(ctx, "SELECT count(*) FROM t WHERE v = 'bad'").Scan(&bad)
			if err == nil && bad > 0 {
				err = errors.New("it has what is bad")
			}
			return err
		}})
	ts.Check(err)
	end := sync.OnceFunc(func() { node.Close(); db.Close() })
	ts.Value(nodesKey{}).(map[string]func())[args[0]] = end
	ts.Defer(end)
}

type nodesKey struct{}

// endNode is the script command endnode: "endnode NAME" ends a node, as a program does that is
// stopped.
func endNode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: endnode NAME")
	}
	end, ok := ts.Value(nodesKey{}).(map[string]func())[args[0]]
	if !ok {
		ts.Fatalf("no node %s has joined", args[0])
	}
	end()
}
