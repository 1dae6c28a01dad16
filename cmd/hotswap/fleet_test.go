package main

import (
	"github.com/rogpeppe/go-internal/testscript"

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
